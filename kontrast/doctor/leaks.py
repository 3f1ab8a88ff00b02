"""Train/test leakage: held-out rows with an exact or near duplicate among training rows."""

import numpy as np

from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding, gravest

_MANY = 0.01


class Leaks(Examination):
    """Finds held-out rows with a duplicate in training, where memorising is enough to score."""

    place = 5

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a finding on all fields, or a fact if the split is clean."""
        held_out = case.data.held_out
        if not held_out.any() or held_out.all():
            return [
                Finding("split", "note", "all rows are trained on: no score will show how well the encoder generalises")
            ]
        described, levels, numbers, shown = [], [], {}, []
        total = int(held_out.sum())
        for name, codes in case.content.items():
            seen = held_out & (codes >= 0) & np.isin(codes, codes[case.data.training])
            near = case.near[name].rows
            side = held_out.astype(int) - case.data.training  # 1 held out, -1 training
            near = near[side[near[:, 0]] * side[near[:, 1]] < 0]
            near = np.where(held_out[near[:, :1]], near, near[:, ::-1])
            near = near[~seen[near[:, 0]]]
            exact, close = int(seen.sum()), len(np.unique(near[:, 0]))
            if not exact + close:
                continue
            share = (exact + close) / total
            counted = " and ".join(f"{n:,} {how}" for n, how in ((exact, "exactly"), (close, "nearly")) if n)
            described.append(f"{name} {counted} ({share:.1%})")
            # A text shared by rows is no leak if another field distinguishes them.
            only = len(case.modalities) == 1 or not case.modalities[name].typed
            levels.append("warning" if share > _MANY and only else "note")
            numbers[name] = {"exact": exact, "near": close, "held out": total}
            shown += [*_twins(codes, seen, case.data.training)[:2], *near[:2].tolist()]
        if not described:
            return [_clean(case)]
        words = (
            f"of {total:,} held-out rows training has seen a copy: {'; '.join(described)}. That inflates scores: put "
            f"copies on one side with a split column, or drop them{'' if case.own_split else ' (now split by hash)'}."
        )
        return [Finding("split leak", gravest(levels), words, numbers, case.paired(shown))]


def _twins(codes: np.ndarray, seen: np.ndarray, training: np.ndarray) -> list[tuple[int, int]]:
    """Up to two held-out rows, each with a training row of the same content."""
    return [(int(row), int(np.flatnonzero((codes == codes[row]) & training)[0])) for row in np.flatnonzero(seen)[:2]]


def _clean(case: Case) -> Finding:
    training, validation, held_out = (
        int(rows.sum()) for rows in (case.data.training, case.data.validation, case.data.held_out)
    )
    by = "by its split column" if case.own_split else "by hash of id"
    watching = f" · {validation:,} for validation" if validation else ""
    words = f"{training:,} train{watching} · {held_out:,} held out {by}; no copy stands on both sides"
    numbers = {"train": training, "held out": held_out} | ({"validation": validation} if validation else {})
    return Finding("split", "fact", words, numbers)
