"""Places, hits and gains of left-out items, against slow loops."""

import math

import numpy as np
import pytest

from kontrast.core.errors import UserError
from kontrast.evaluation.recommendation import drawn, hits_and_gains, places

pytestmark = pytest.mark.quick


def made(n=20, items=130):
    rng = np.random.default_rng(0)
    score = rng.integers(0, 9, (n, items)).astype(float)  # many ties
    barred = rng.random((n, items)) < 0.05
    return score, rng.integers(0, items, n), barred


def test_places_count_better_items_and_half_of_the_ties():
    score, wanted, barred = made()
    wanted[3] = -1
    for row, found in enumerate(places(score, wanted, barred)):
        others = [i for i in range(130) if i != max(wanted[row], 0) and not barred[row, i]]
        own = score[row, wanted[row]]
        slow = sum((score[row, i] > own) + 0.5 * (score[row, i] == own) for i in others)
        assert found == (slow if wanted[row] >= 0 else len(others) + 1)


def test_drawn_items_are_as_many_as_asked_neither_barred_nor_wanted():
    score, wanted, barred = made()
    left = drawn(barred, wanted)
    assert ((~left).sum(1) == 99).all()
    assert not (~left & barred).any()
    assert left[np.arange(20), wanted].all()
    assert not np.array_equal(drawn(barred, wanted, seed=1), left)
    assert (places(score, wanted, left) <= 99).all()
    with pytest.raises(UserError, match="items to draw from; expected 200"):
        drawn(barred, wanted, count=200)


def test_hits_and_gains_are_those_of_one_item_to_find():
    found = hits_and_gains(np.array([0, 4, 9, 10]), (5, 10))
    assert found["HR@5"] == 0.5
    assert found["HR@10"] == 0.75
    assert found["NDCG@10"] == pytest.approx((1 + 1 / math.log2(6) + 1 / math.log2(11)) / 4)
