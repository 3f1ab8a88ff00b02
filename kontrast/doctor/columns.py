"""Columns of a table against the label: whether contrast is worth it to predict the label."""

import numpy as np
import torch

from kontrast.core.number_format import interval, number
from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding
from kontrast.evaluation.linear import fit

_ROWS, _FEWEST = 1_500, 100  # rows looked at, and needed
_AHEAD = 0.02  # accuracy by which boosting must be ahead to be remarked on
_CLASSES, _TREES = 40, 40


class Columns(Examination):
    """Predicts the label of training rows from the columns alone, linearly and by boosted trees.

    Boosting far ahead of a linear model says that for predicting this label alone contrast is not worth it.
    """

    place = 45

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a note if boosted trees are far ahead, else a fact."""
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
            found += _worth(modality.raw(modality.batch(case.data.stores[name], rows, None)).numpy(), code, label)
        return found


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
