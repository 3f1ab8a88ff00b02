"""Missing values by field, and fields that are missing together."""

import numpy as np

from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding

_MANY = 0.5
_COMBINATIONS = 4


class Missing(Examination):
    """Counts missing fields, their combinations, and rows that cannot form a pair."""

    place = 20

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a fact on missing values, and findings on sparse fields and unpaired rows."""
        data = case.data
        has = np.stack([data.stores[name].has for name in case.modalities])
        gaps = {name: int((~of).sum()) for name, of in zip(case.modalities, has, strict=True)}
        columns = _columns(case)
        if not any(gaps.values()) and not columns:
            return []
        found, rows = [], len(data)
        parts = [f"{n:,} of {rows:,} rows without {name} ({n / rows:.0%})" for name, n in gaps.items() if n]
        patterns, counts = np.unique(has.T, axis=0, return_counts=True)
        names = np.array(list(case.modalities))
        combinations = [
            {"has": names[p].tolist(), "rows": int(n)}
            for p, n in sorted(zip(patterns, counts, strict=True), key=lambda pair: -pair[1])
        ]
        if len(case.modalities) > 1 and any(gaps.values()):
            listed = (f"{c['rows']:,} with {' + '.join(c['has'])}" for c in combinations[:_COMBINATIONS])
            parts.append("together: " + ", ".join(listed))
        parts += [f"{n:,} without {name}" for name, n in columns.items()]
        numbers = {"missing": {**gaps, **columns}, "combinations": combinations}
        found.append(Finding("missing", "fact", " · ".join(parts), numbers))
        alone = np.flatnonzero(has.sum(0) < min(2, len(has)))
        thin = [name for name, n in gaps.items() if n >= _MANY * rows]
        if case.experiment.names == "clip" and len(alone):
            words = (
                f"{len(alone):,} rows ({len(alone) / rows:.0%}) have only one field: there is nothing to pair it with, "
                "so they are not trained on. Complete them, or train on one field: --field OTHER=ignore."
            )
            level = "warning" if len(alone) >= 0.1 * rows else "note"
            found.append(Finding("unpaired", level, words, {"rows": len(alone)}, case.named(alone)))
        if thin:
            words = (
                f"{', '.join(thin)}: missing in half of the rows or more, so few pairs teach what belongs to it. "
                "Expect weaker results there; leave it out with --field NAME=ignore if that is not worth it."
            )
            found.append(Finding("mostly missing", "warning", words, {name: gaps[name] for name in thin}))
        return found


def _columns(case: Case) -> dict[str, int]:
    """Number of missing values of the label and each metadata column that has any."""
    found = {}
    if case.data.labels is not None:
        found["label"] = int((case.data.labels == "").sum())
    for name in case.data.metadata.column_names:
        if case.fields[name].kind == "meta":
            found[name] = case.data.metadata[name].null_count
    return {name: n for name, n in found.items() if n}
