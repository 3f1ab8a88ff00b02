"""Constant fields, from which nothing can be learned."""

import numpy as np

from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding

_NEARLY = 0.9


class Constant(Examination):
    """Finds fields that hold the same in nearly all rows, and rows without variation."""

    place = 25

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a finding per constant field and per field with flat rows."""
        found = []
        for name, codes in case.content.items():
            known = codes[codes >= 0]
            counts = np.unique(known, return_counts=True)[1]
            share = counts.max(initial=0) / max(len(known), 1)
            if len(counts) == 1 and len(known) > 1:
                words = f"{name} holds the same in all rows, so it tells nothing. Leave it out: --field {name}=ignore."
                found.append(Finding("constant", "error", words, {"field": name, "share": 1.0}))
            elif share >= _NEARLY:
                words = (
                    f"{name} holds the same in {share:.0%} of the rows (a placeholder?): these teach nothing. Empty "
                    "such cells, so that they count as missing."
                )
                found.append(Finding("constant", "warning", words, {"field": name, "share": float(share)}))
            flat = _flat(case, name)
            if len(flat):
                words = (
                    f"{name}: {len(flat):,} rows do not vary in themselves (blank pictures, flat series) and embed "
                    "anywhere. Drop them, or empty these cells."
                )
                level = "warning" if len(flat) > 0.05 * len(known) else "note"
                found.append(Finding("flat rows", level, words, {"field": name, "rows": len(flat)}, case.named(flat)))
        return found


def _flat(case: Case, name: str) -> np.ndarray:
    """Rows that do not vary in themselves."""
    modality, store = case.modalities[name], case.data.stores[name]
    rows = np.flatnonzero(store.has)
    flat = []
    for start in range(0, len(rows), 1024):
        part = rows[start : start + 1024]
        flat += [row for row, packed in zip(part, store.rows(part), strict=True) if modality.is_flat(packed)]
    return np.array(flat, dtype=np.int64)
