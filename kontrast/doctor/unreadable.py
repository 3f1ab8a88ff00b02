"""Unreadable rows by reason."""

from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding


class Unreadable(Examination):
    """Counts broken files, empty rows and invalid numbers by reason, with an example of each."""

    place = 20

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a warning if rows cannot be read, or an error if training would refuse the data."""
        unreadable = case.data.quarantined
        if not unreadable:
            return []
        reasons: dict[str, list[str]] = {}
        for _, name, field, reason in unreadable:
            reasons.setdefault(f"{field}: {reason}" if field else reason, []).append(name)
        ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
        listed = "; ".join(f"{len(ids):,} {reason.rstrip('.')} ('{ids[0]}')" for reason, ids in ordered[:3])
        more = f"; and {len(ordered) - 3} more reasons" if len(ordered) > 3 else ""
        share, accepted = len(unreadable) / len(case.frame), case.experiment.source.quarantine
        refused = share > accepted
        do = (
            f"Training accepts {accepted:.0%}. Correct them, or leave them out with --quarantine {share + 0.01:.2f}."
            if refused
            else "Training leaves them out."
        )
        words = f"{len(unreadable):,} of {len(case.frame):,} rows ({share:.1%}) cannot be read: {listed}{more}. {do}"
        numbers = {"rows": len(unreadable), "reasons": {reason: len(ids) for reason, ids in ordered}}
        return [
            Finding("unreadable", "error" if refused else "warning", words, numbers, [row[1] for row in unreadable[:5]])
        ]
