"""benchmarks/reproduce.py tu: folds of a classifier, and its table."""

import numpy as np
import pytest

from benchmarks.reproductions.tu import CONTESTANTS, folds, table


@pytest.mark.parametrize("head", ["svm", "logistic"])
def test_each_fold_is_named_by_a_classifier_that_never_saw_it(head):
    rng = np.random.default_rng(0)
    y, fold = np.arange(120) % 2, np.arange(120) // 12
    x = rng.normal(size=(120, 4)) + 3.0 * y[:, None]
    assert np.mean(folds(x, y, fold, head)) > 0.9
    y[fold == 3] = 1 - y[fold == 3]  # a fold that contradicts the others is named wrong
    assert folds(x, y, fold, head)[3] < 0.2


def test_the_table_holds_means_over_folds_and_seeds_and_the_gain_over_raw():
    def run(learned):
        values = {one: [0.5] * 10 for one in CONTESTANTS} | {"learned": [learned] * 10}
        return {"seconds": 10.0, "steps": 100, "folds": values}

    text = table({"MUTAG": [run(0.6), run(0.8)], "MINE": [run(0.5)]})
    assert "| MUTAG | 0.868, 0.890 | 0.500 | 0.500 | 0.700 | 0.500 | +0.200 [+0.200, +0.200] | 2 | 100 | 10 |" in text
    assert "| MINE | - |" in text
