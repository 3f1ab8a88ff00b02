"""Columns of a table against the label: one that gives it away, and whether contrast is worth it for the label."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from kontrast.core.number_format import interval, number
from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding
from kontrast.evaluation.linear import fit

_ROWS, _FEWEST, _COLUMNS = 1_500, 100, 200  # rows looked at, and needed; columns looked at one by one
_BINS = 20  # parts between quantiles of a column of numbers
_GIVEN, _MORE = 0.98, 0.1  # accuracy by one column that gives the label away, and how far above the largest class
_AHEAD = 0.02  # accuracy by which boosting must be ahead to be remarked on
_CLASSES, _TREES = 40, 40


class Columns(Examination):
    """Predicts the label of training rows from the columns alone: each by itself, linearly, and by boosted trees.

    Boosting far ahead of a linear model says that for predicting this label alone contrast is not worth it.
    """

    place = 45

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a warning of columns that give the label away, and a note if boosted trees are far ahead."""
        found: list[Finding] = []
        if case.data.labels is None:
            return found
        label = next(name for name, field in case.fields.items() if field.kind == "label")
        for name, modality in case.modalities.items():
            columns = case.experiment.views[name].settings.get("columns")
            rows = np.flatnonzero(case.data.training & case.data.stores[name].has & (case.data.labels != ""))
            rows = rows[np.argsort(case.data.keys[rows])][:_ROWS]
            classes, code = np.unique(case.data.labels[rows], return_inverse=True)
            if not isinstance(columns, list) or len(rows) < _FEWEST or not 2 <= len(classes) <= _CLASSES:
                continue
            most = float(np.bincount(code).max() / len(code))
            for column in columns[:_COLUMNS]:
                right = _alone(case.frame.cells(column, case.kept[rows]), code)
                if right >= max(_GIVEN, most + _MORE):
                    found.append(_given(column, label, right, most))
            found += _worth(modality.raw(modality.batch(case.data.stores[name], rows, None)).numpy(), code, label)
        return found


def _alone(cells: Sequence[Any], code: np.ndarray) -> float:
    """Accuracy on every other row of the most frequent class among the others with the same cell, or near numbers."""
    try:
        numbers = np.array(cells, dtype=object).astype(np.float64)
        edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1]))
        value = np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="right"))
    except (TypeError, ValueError):
        value = np.unique([str(cell) for cell in cells], return_inverse=True)[1]
    counts = np.zeros((value.max() + 2, code.max() + 1))
    np.add.at(counts, (value[::2], code[::2]), 1)
    return float((counts[value[1::2]].argmax(1) == code[1::2]).mean())


def _given(column: str, label: str, right: float, most: float) -> Finding:
    words = (
        f"column '{column}' alone tells '{label}' of {right:.0%} of the rows, where the largest class has {most:.0%}: "
        f"is it known before '{label}' is, or made of it? If made of it, leave it out: --field {column}=ignore."
    )
    return Finding("label in a column", "warning", words, {"column": column, "accuracy": right, "largest": most})


def _worth(x: np.ndarray, code: np.ndarray, label: str) -> list[Finding]:
    """What boosted trees and a linear model make of the columns, on the other half of the rows each."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees, linear = np.zeros(len(code)), np.zeros(len(code))
    for fold in (0, 1):
        known, asked = np.arange(fold, len(code), 2), np.arange(1 - fold, len(code), 2)
        model = HistGradientBoostingClassifier(max_iter=_TREES, random_state=0)
        trees[asked] = model.fit(x[known], code[known]).predict(x[asked]) == code[asked]
        centre, scale = x[known].mean(0), x[known].std(0)
        z = torch.from_numpy(((x - centre) / np.where(scale > 1e-6, scale, 1)).astype(np.float32))
        probe = fit(z[known], torch.from_numpy(code[known]), int(code.max()) + 1, 0.1, 100)
        linear[asked] = probe(z[asked]).argmax(1).numpy() == code[asked]
    apart = trees - linear
    error = 1.96 * float(apart.std()) / len(apart) ** 0.5
    low, high = float(apart.mean()) - error, float(apart.mean()) + error
    said = f"boosted trees {number(trees.mean())}, a linear model {number(linear.mean())}"
    numbers = {"boosting": float(trees.mean()), "linear": float(linear.mean()), "low": low, "high": high}
    if low < _AHEAD:
        return [Finding("columns", "fact", f"'{label}' from the columns alone: {said}", numbers)]
    words = (
        f"'{label}' from the columns alone: {said} (+{number(apart.mean())} {interval(low, high)}). An embedding of a "
        f"table seldom makes up for such a difference: to predict '{label}' alone, take boosted trees. Contrast is for "
        "search, clusters, few labels, and pairs with texts or pictures."
    )
    return [Finding("boosting is ahead", "note", words, numbers)]
