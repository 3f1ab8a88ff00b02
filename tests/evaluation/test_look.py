"""The numbers of a look at validation rows, against their definitions."""

import numpy as np
import pytest

from kontrast.evaluation.knn import KNN
from kontrast.evaluation.lidar import lidar
from kontrast.evaluation.look import NUMBERS, look_values
from kontrast.evaluation.pair_auc import Pairs, pair_auc
from kontrast.evaluation.rankme import rankme
from tests.support.banks import bank, blobs, unit

pytestmark = pytest.mark.quick


def _draw(n=30, d=5, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    thing = np.random.default_rng(50).normal(size=(n, d))
    one, two = (thing + noise * rng.normal(size=(n, d)) for _ in range(2))
    return Pairs(one, two, np.arange(n) * 3)


def test_each_number_is_what_its_function_gives():
    train, test = blobs(60, seed=1, prefix="t"), blobs(40, seed=2, noise=1.0)
    draws = [[_draw(seed=1)], [_draw(seed=2)]]
    found = look_values(train, test, draws)
    assert set(found) == set(NUMBERS)
    (first,), (second,) = draws
    one, two, three, four = (unit(z).astype(float) for z in (first.one, first.two, second.one, second.two))
    assert found["knn"] == KNN()(train, test)["kNN accuracy"].value
    assert found["rankme"] == pytest.approx(rankme(test.z["image"]), rel=1e-6)
    assert found["auc"] == pair_auc([first]).value
    assert found["alignment"] == pytest.approx(((one - two) ** 2).sum(1).mean(), rel=1e-5)
    apart = [np.exp(-2 * ((one[i] - one[j]) ** 2).sum()) for i in range(30) for j in range(30) if i != j]
    assert found["uniformity"] == pytest.approx(np.log(np.mean(apart)), rel=1e-5)
    assert found["lidar"] == pytest.approx(lidar(np.stack([one, two, three, four], 1)), rel=1e-5)


def test_rows_are_matched_over_draws_by_their_number():
    first, second = _draw(seed=1), _draw(seed=2)
    order = np.random.default_rng(0).permutation(30)[:25]
    part = Pairs(second.one[order], second.two[order], second.row[order])
    kept = np.sort(order)
    expected = [first.one[kept], first.two[kept], second.one[kept], second.two[kept]]
    found = look_values(blobs(20), blobs(20), [[first], [part]])
    assert found["lidar"] == pytest.approx(lidar(np.stack([unit(z) for z in expected], 1)), rel=1e-5)


def test_what_does_not_apply_is_left_out():
    plain = bank(np.random.default_rng(0).normal(size=(20, 4)))
    assert set(look_values(plain, plain, [])) == {"rankme"}
    few = Pairs(np.eye(4), np.eye(4), np.arange(4))
    assert set(look_values(plain, plain, [[few]])) == {"rankme"}


def test_collapsed_embeddings_show():
    same = bank(np.ones((30, 4)))
    flat = Pairs(np.ones((30, 4)), np.ones((30, 4)), np.arange(30))
    found = look_values(same, same, [[flat], [flat]])
    assert found == pytest.approx({"rankme": 1, "auc": 0.5, "alignment": 0, "uniformity": 0, "lidar": 0}, abs=1e-6)
