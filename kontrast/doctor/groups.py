"""Groups, such as a patient, user, page or folder, that span train and test."""

import re
from collections.abc import Iterator

import numpy as np

from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding

# A column counts as a group if most values repeat, in a handful of rows on average (a patient, a session) and not in
# hundreds (a country, a category). A column name such as patient_id raises that limit.
_MOST_A_GROUP, _MOST_NAMED = 50, 1_000
_REPEATED = 0.5
_NAMED = re.compile(
    r"(^|_|\b)(group|patient|subject|user|person|people|speaker|author|customer|client|owner|device|session|visit|case|"
    r"sample|specimen|slide|scene|video|clip|recording|site|hospital|camera|source|document|doc|article|product|item|"
    r"family|donor|participant|station|machine|household|thread|conversation|writer|artist)s?(_?(id|no|nr|num|number|name|key|code))?$",
    re.IGNORECASE,
)
_STEM = re.compile(r"^(.*?)[\W_]+\d+$")  # scan_017_003 -> scan_017


class Groups(Examination):
    """Finds groups of related rows that span train and test, which inflates scores."""

    place = 6

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a finding per column that looks like a group and spans the split."""
        held_out = case.data.held_out
        if not held_out.any() or held_out.all():
            return []
        found = []
        for name, values, how, telling in _candidates(case):
            codes, counts = _coded(values)
            if not _is_group(counts, len(codes), telling):
                continue
            known = codes >= 0
            both = np.intersect1d(codes[known & held_out], codes[known & case.data.training])
            rows = np.flatnonzero(held_out & np.isin(codes, both))
            if not len(rows):
                continue
            share = len(rows) / int(held_out.sum())
            words = (
                f"{how}: {len(both):,} of {len(counts):,} values stand on both sides of the split, with {len(rows):,} "
                f"held-out rows ({share:.0%}). If one value is one patient, user, scene or the like, scores measure "
                "memory of it: give a split column that keeps each value on one side."
            )
            numbers = {"column": name, "groups": len(counts), "straddling": len(both), "held-out rows": len(rows)}
            found.append(Finding("groups", "warning" if telling else "note", words, numbers, case.named(rows)))
        return found


def _candidates(case: Case) -> Iterator[tuple[str, list[str], str, bool]]:
    """Yields candidate groupings: metadata, a label with a group's name, and stems of web addresses and ids.

    Yields:
        Column, value per row, description, and whether the column's name indicates a group.
    """
    metadata = case.data.metadata
    for name in metadata.column_names:
        if case.fields[name].kind != "meta":
            continue
        values = ["" if cell is None else str(cell) for cell in metadata[name].to_pylist()]
        if case.fields[name].why == "web addresses":
            pages = [value.rsplit("/", 1)[0] for value in values]
            yield name, pages, f"the addresses of '{name}' up to their last slash", False
        elif "single numbers" not in case.fields[name].why or _NAMED.search(name):
            yield name, values, f"column '{name}'", bool(_NAMED.search(name))
    label = next((name for name, field in case.fields.items() if field.kind == "label"), "")
    if case.data.labels is not None and _NAMED.search(label):
        yield label, case.data.labels.tolist(), f"column '{label}' (taken for the label)", False
    ids = case.data.ids.tolist()
    stems = [match[1] if (match := _STEM.match(name.rsplit(".", 1)[0])) else "" for name in ids]
    if len(set(stems)) > 2 * len({name.rpartition("/")[0] for name in ids}):  # else the stems are the folders
        yield "id", stems, "ids without their last number", False


def _coded(values: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Code per row, -1 for an empty value, and the number of rows per code."""
    names, codes = np.unique(np.array(values, dtype=str), return_inverse=True)
    codes = codes.astype(np.int64)
    if len(names) and names[0] == "":
        codes -= 1
    return codes, np.bincount(codes[codes >= 0]) if (codes >= 0).any() else np.zeros(0, np.int64)


def _is_group(counts: np.ndarray, rows: int, telling: bool) -> bool:
    if len(counts) < 3 or counts.sum() < 0.5 * rows:
        return False
    several = counts[counts > 1].sum() >= _REPEATED * counts.sum()
    return bool(several and counts.mean() <= (_MOST_NAMED if telling else _MOST_A_GROUP))
