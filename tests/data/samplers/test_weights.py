"""Rows are drawn as often as their weights say, in an order that (seed, step) alone decides."""

import numpy as np
import pytest

from kontrast.data.samplers.sampler import Sampled
from kontrast.data.samplers.shuffled import Shuffled
from kontrast.data.samplers.weighted import Weighted

pytestmark = pytest.mark.quick


def epochs(order, n):
    return [np.concatenate([order.at(e * order.per_epoch + s) for s in range(order.per_epoch)]) for e in range(n)]


def test_a_row_is_drawn_as_often_as_its_weight_says_and_once_an_epoch_at_most():
    rows = np.arange(100, 400)
    weights = np.where(np.arange(300) % 3 == 0, 3.0, 0.75).astype(np.float32)
    order = Weighted(Sampled(rows, 16, 0, weights))
    assert order.per_epoch == 150 // 16
    drawn = epochs(order, 400)
    assert all(len(np.unique(one)) == len(one) for one in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=400)[100:]
    assert abs(counts[weights == 3].mean() / counts[weights < 3].mean() - 4) < 0.1
    assert counts[weights < 3].std() < 2 * (400 * 0.25 * 0.75) ** 0.5


def test_any_step_asked_for_alone_any_rank_and_equal_weights_agree_with_the_plain_order():
    rows, weights = np.arange(90), np.linspace(0.1, 2, 90)
    order = Weighted(Sampled(rows, 8, 3, weights))
    later = Weighted(Sampled(rows, 8, 3, weights)).at(57)
    assert (np.concatenate([order.at(57, r, 3) for r in range(3)]) == later).all()
    assert not np.array_equal(Weighted(Sampled(rows, 8, 4, weights)).at(57), later)
    plain, same = Shuffled(Sampled(rows, 8, 3)), Weighted(Sampled(rows, 8, 3, np.full(90, 5.0)))
    assert all((plain.at(s) == same.at(s)).all() for s in range(40))


def test_a_batch_is_full_even_where_one_row_outweighs_all():
    order = Weighted(Sampled(np.arange(50), 8, 0, np.r_[1000.0, np.ones(49)]))
    assert order.per_epoch == 1
    for step in range(20):
        assert len(order.at(step)) == len(np.unique(order.at(step))) == 8
        assert 0 in order.at(step)
