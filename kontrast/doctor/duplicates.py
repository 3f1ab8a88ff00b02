"""Exact duplicates of a field's content, and duplicates with conflicting labels."""

import numpy as np

from kontrast.core.number_format import many
from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding, gravest

_MANY = 0.05


class Duplicates(Examination):
    """Finds rows of equal content, which teach nothing new and mislead when used as negatives.

    kontrast masks equal contents out of the negatives, so here they only cost time; other tools do not mask them.
    """

    place = 30

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a finding on all fields, and a finding per field whose duplicates have conflicting labels."""
        described, levels, numbers, pairs, conflicts = [], [], {}, [], []
        for name, codes in case.content.items():
            order, starts, counts = _groups(codes)
            extra = int((counts - 1).sum())
            if not extra:
                continue
            share = extra / int((codes >= 0).sum())
            described.append(
                f"{name} {extra:,} rows ({share:.1%}) in {many(len(counts), 'group')} of up to {counts.max():,}"
            )
            several = len(case.modalities) > 1  # repeats are usual in paired data, such as several captions per image
            levels.append("warning" if share > _MANY and not several else "note")
            numbers[name] = {"rows": extra, "groups": len(counts), "largest": int(counts.max())}
            largest = [order[s : s + n] for s, n in sorted(zip(starts, counts, strict=True), key=lambda g: -g[1])]
            pairs += [(group[0], group[1]) for group in largest[:2]]
            conflicts += _conflicting(case, name, largest)
        if not described:
            return [Finding("copies", "fact", "no row repeats another")]
        words = (
            f"rows that repeat another exactly: {'; '.join(described)}. Masked as negatives they do no harm but "
            "cost time; if they came by mistake, drop them."
        )
        return [Finding("duplicates", gravest(levels), words, numbers, case.paired(pairs)), *conflicts]


def _groups(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows sorted by content, and the start and size of each group of at least two equal rows."""
    order = np.argsort(codes, kind="stable")
    _, starts, counts = np.unique(codes[order], return_index=True, return_counts=True)
    return order, starts[counts > 1], counts[counts > 1]


def _conflicting(case: Case, name: str, groups: list[np.ndarray]) -> list[Finding]:
    """Finding on equal contents with conflicting labels."""
    if case.data.labels is None or len(case.modalities) > 1:
        return []
    pairs = []
    for group in groups:
        labels = case.data.labels[group]
        other = np.flatnonzero((labels != labels[0]) & (labels != "")) if labels[0] else []
        if len(other):
            pairs.append((group[0], group[other[0]]))
    if not pairs:
        return []
    i, j = pairs[0]
    words = (
        f"{name}: {len(pairs):,} contents have more than one label ('{case.data.labels[i]}' and "
        f"'{case.data.labels[j]}', for example), so no encoder can tell these rows apart. Correct the labels or "
        "drop the rows."
    )
    return [Finding("conflicting labels", "warning", words, {"field": name, "groups": len(pairs)}, case.paired(pairs))]
