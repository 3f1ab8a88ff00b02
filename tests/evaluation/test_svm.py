"""The RBF-SVM: its penalty and its accuracy are those of scikit-learn's own search over the same folds."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.svm import SVC

from kontrast.evaluation.linear import folds
from kontrast.evaluation.spaces import spaces
from kontrast.evaluation.svm import SVM
from tests.support.banks import bank, blobs, several, values

pytestmark = pytest.mark.quick

FEW = SVM(strengths=(0.1, 1.0, 10.0))


@pytest.mark.parametrize("noise", [0.8, 2.0, 6.0])
def test_penalty_and_accuracy_are_those_of_a_grid_search_on_train_rows(noise):
    train, test = blobs(120, noise=noise), blobs(80, noise=noise, seed=1, prefix="t")
    train.labels[::9], test.labels[::8] = "", ""
    learned, asked = spaces(train)[0].labelled(), spaces(test)[0].labelled()
    svm = SVM(strengths=(1e-4, 0.1, 1.0, 10.0, 1e3))
    search = GridSearchCV(
        SVC(gamma="scale"),
        {"C": list(svm.strengths)},
        cv=PredefinedSplit(folds(np.unique(learned.labels, return_inverse=True)[1])),
    ).fit(learned.z.astype(np.float64), learned.labels)
    codes = np.unique(learned.labels, return_inverse=True)[1]
    assert svm.strength(learned.z, codes) == search.best_params_["C"]
    found = svm(train, test)["SVM accuracy"]
    assert found.value == pytest.approx((search.predict(asked.z.astype(np.float64)) == asked.labels).mean())
    assert (found.rows, found.alone) == (len(asked), True)


def test_it_sees_a_ring_around_a_blob_which_no_line_does():
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle), np.full(60, 2.0)], 1)
    middle = np.stack([0.3 * np.cos(angle), 0.3 * np.sin(angle), np.full(60, 2.0)], 1)
    rows = bank(np.concatenate([ring, middle]), ["ring"] * 60 + ["middle"] * 60)
    assert values(FEW(rows, rows)) == {"SVM accuracy": 1.0}


def test_few_rows_take_the_largest_penalty_and_test_rows_choose_nothing():
    z, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    assert SVM().strength(z[:49], y[:49]) == SVM().strength(z, np.arange(60) % 13) == 1e4
    assert SVM(strengths=(1.0, 3.0)).strength(z[:49], y[:49]) == 3.0
    train, test = blobs(60, noise=2), blobs(40, noise=2, seed=1, prefix="t")
    parts = (np.arange(40), np.arange(0, 40, 2), np.arange(1, 40, 2))
    whole, *halves = (FEW(train, test.take(part))["SVM accuracy"].entries.sum() for part in parts)
    assert sum(halves) == whole


def test_rows_beyond_the_limit_and_the_order_of_the_file_change_nothing():
    train, test = blobs(70, noise=2), blobs(40, noise=2, seed=1, prefix="t")
    shuffled = train.take(np.random.default_rng(3).permutation(70))
    assert np.array_equal(FEW(train, test)["SVM accuracy"].entries, FEW(shuffled, test)["SVM accuracy"].entries)
    learned = spaces(train)[0].labelled()
    codes, asked = np.unique(learned.labels, return_inverse=True)[1], spaces(test)[0].z
    fewer = SVM(strengths=(1.0,), rows=60).fitted(learned.z, codes)(asked)
    assert np.array_equal(fewer, SVM(strengths=(1.0,)).fitted(learned.z[:60], codes[:60])(asked))


def test_equal_embeddings_and_a_cut_solver_still_give_a_number():
    same = bank(np.ones((60, 4)), ["a", "b"] * 30)
    assert 0 <= FEW(same, same)["SVM accuracy"].value <= 1
    train = blobs(60, noise=6)
    assert 0 <= SVM(strengths=(1.0,), iterations=1)(train, train)["SVM accuracy"].value <= 1
    fields = several(60)
    assert list(FEW(fields, fields)) == ["SVM accuracy"]  # of whole rows alone
