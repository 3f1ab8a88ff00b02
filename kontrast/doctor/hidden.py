"""Label leakage: a column, an id or a text that gives the label away."""

import re

import numpy as np
import pyarrow.types as types

from kontrast.data.tables.record import read_by
from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding

# Share of the errors of the most frequent label that the column avoids, predicting each row from the other rows of the
# same value (leave-one-out Goodman and Kruskal's lambda).
_GIVEN_AWAY, _HINTED = 0.95, 0.6
_BINS = 32
_SAYS, _LIFT = 0.5, 5.0
_WORD = re.compile(r"[^\W_]+")


class Hidden(Examination):
    """Finds columns, ids and texts that give the label away.

    If the encoder sees them, scores by label are inflated; otherwise they are a shortcut for downstream models.
    """

    place = 8

    def __call__(self, case: Case) -> list[Finding]:
        """Returns findings on columns, ids and texts; none without labels."""
        labels = case.data.labels
        if labels is None or len(set(labels.tolist()) - {""}) < 2:
            return []
        return [*_columns(case, labels), *_ids(case, labels), *_texts(case, labels)]


def _columns(case: Case, labels: np.ndarray) -> list[Finding]:
    found = []
    known = labels != ""
    codes = np.unique(labels[known], return_inverse=True)[1]
    read = read_by(case.experiment.views)
    for name in case.data.metadata.column_names:
        column = case.data.metadata[name]
        values = _values(column.to_pylist(), types.is_floating(column.type) or types.is_integer(column.type))
        values = values[known]
        strength, covered = _lambda(values, codes)
        if strength < _HINTED or covered < 0.5:
            continue
        seen = name in case.modalities or name in read
        numbers = {"column": name, "lambda": strength, "rows": covered}
        if strength >= _GIVEN_AWAY:
            what = f"column '{name}' gives the label away: its value alone goes {strength:.0%} of the way to it"
            do = (
                "The encoder sees it, so a score by label measures whether it reads that: leave it out with --field "
                f"{name}=ignore, or evaluate by another label."
                if seen
                else "The encoder does not see it; keep it out of whatever is trained on top."
            )
            found.append(Finding("label leak", "warning" if seen else "note", f"{what}. {do}", numbers))
        elif seen:
            words = (
                f"column '{name}' nearly gives the label away (its value alone goes {strength:.0%} of the way "
                "from guessing to right): scores by label are easy here."
            )
            found.append(Finding("label leak", "note", words, numbers))
    return found


def _values(cells: list[object], numbers: bool) -> np.ndarray:
    """Code per row, (N,), equal for equal cells; mostly unique numbers are binned first."""
    if numbers:
        x = np.array([np.nan if cell is None else float(str(cell)) for cell in cells])
        if len(np.unique(x)) > len(x) / 2:
            edges = np.nanquantile(x, np.linspace(0, 1, _BINS + 1)[1:-1]) if np.isfinite(x).any() else []
            return np.searchsorted(edges, x)
    texts = np.array(["" if cell is None else str(cell).strip().lower() for cell in cells], dtype=str)
    return np.unique(texts, return_inverse=True)[1]


def _lambda(values: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Leave-one-out lambda of the column for the label, and the share of rows whose value repeats."""
    pairs, inverse, counts = np.unique(
        values.astype(np.int64) * (labels.max() + 1) + labels, return_inverse=True, return_counts=True
    )
    of_value = pairs // (labels.max() + 1)
    order = np.lexsort((-counts, of_value))
    _, starts, sizes = np.unique(of_value[order], return_index=True, return_counts=True)
    best = np.repeat(counts[order][starts], sizes)
    second = np.repeat(np.where(sizes > 1, counts[order][np.minimum(starts + 1, len(order) - 1)], 0), sizes)
    mine = np.empty(len(order), np.int64)
    mine[order] = np.arange(len(order))
    at = mine[inverse]
    # Leave-one-out: without the row itself, its label must still be the most frequent of its value.
    own = counts[inverse] - 1
    rival = np.where(counts[inverse] == best[at], second[at], best[at])
    right = own > rival
    repeated = np.bincount(values)[values] > 1
    base = np.bincount(labels).max() / len(labels)
    if not repeated.any() or base == 1:
        return 0.0, float(repeated.mean())
    return float((right[repeated].mean() - base) / (1 - base)), float(repeated.mean())


def _ids(case: Case, labels: np.ndarray) -> list[Finding]:
    said, other = _mentions(case.data.ids.tolist(), labels)
    if said < _SAYS or said < _LIFT * other:
        return []
    words = (
        f"{said:.0%} of the ids name their own label ('{case.data.ids[0]}' is '{labels[0]}'). The encoder sees no id; "
        "do not feed ids or file names as text."
    )
    return [Finding("label in id", "fact", words, {"share": said})]


def _texts(case: Case, labels: np.ndarray) -> list[Finding]:
    found = []
    for name, texts in case.texts.items():
        said, other = _mentions(texts, labels)
        if said < _HINTED / 6 or said < _LIFT * other:
            continue
        words = f"{name}: {said:.0%} of the texts contain their own label's name ({other:.0%} a stranger's). " + (
            "Scores by label then measure reading, not understanding; evaluate by another label or take the words out."
            if said >= _SAYS
            else "Scores by label are a little easier for it."
        )
        level = "warning" if said >= _SAYS else "note"
        found.append(Finding("label in text", level, words, {"field": name, "share": said, "other": other}))
    return found


def _mentions(texts: list[str], labels: np.ndarray) -> tuple[float, float]:
    """Shares of texts that contain their own label, and another row's label as a baseline.

    Labels without a word of at least three letters (numbers, initials) occur by chance and are skipped.
    """
    wanted = {label: set(_WORD.findall(label.lower())) for label in set(labels.tolist())}
    wanted = {label: words for label, words in wanted.items() if any(len(w) > 2 and w.isalpha() for w in words)}
    order = np.argsort(labels, kind="stable")
    shifted = np.empty_like(labels)
    shifted[order] = np.roll(labels[order], len(labels) // 2)
    own = other = rows = 0
    for text, label, stranger in zip(texts, labels.tolist(), shifted.tolist(), strict=True):
        if label in wanted and text:
            there = set(_WORD.findall(text.lower()))
            rows += 1
            own += wanted[label] <= there
            other += stranger in wanted and stranger != label and wanted[stranger] <= there
    return (own / rows, other / rows) if rows >= 0.2 * len(labels) else (0.0, 0.0)
