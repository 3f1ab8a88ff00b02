"""The AUC of positive against random pairs: its value, and that its interval holds what it says."""

import numpy as np
import pytest

from kontrast.evaluation.intervals import Found, apart, interval
from kontrast.evaluation.pair_auc import Pairs, pair_auc


def drawn(n, noise, seed, width=8):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, width))
    return z, z + noise * rng.normal(size=(n, width))


def slow(one, two, row, groups=()):
    one, two = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (one, two))
    s, wins = one @ two.T, []
    for k in range(len(row)):
        for i in range(len(row)):
            for j in range(len(row)):
                if row[i] != row[j] and all(g[i] != g[j] for g in groups):
                    wins.append((s[k, k] > s[i, j]) + 0.5 * (s[k, k] == s[i, j]))
    return np.mean(wins)


def test_the_value_is_that_of_a_loop_over_all_pairs():
    one, two = drawn(12, 1.0, 0)
    row, group = np.arange(12) // 2, np.arange(12) % 3
    assert pair_auc([Pairs(one, two, row)]).value == pytest.approx(slow(one, two, row))
    assert pair_auc([Pairs(one, two, row, (group,))]).value == pytest.approx(slow(one, two, row, (group,)))
    both = pair_auc([Pairs(one, two, row), Pairs(two, one, row, (group,))])
    assert both.value == pytest.approx((slow(one, two, row) + slow(two, one, row, (group,))) / 2)
    assert both.entries.mean() == pytest.approx(both.value)
    assert both.rows == 6


def test_embeddings_that_know_nothing_score_a_half():
    assert pair_auc([Pairs(np.ones((20, 4)), np.ones((20, 4)), np.arange(20))]).value == 0.5


def test_without_a_random_pair_there_is_no_number():
    one, two = drawn(4, 0.1, 0)
    assert pair_auc([Pairs(one, two, np.zeros(4, int))]) is None
    assert pair_auc([Pairs(one, two, np.arange(4), (np.zeros(4, int),))]) is None
    assert pair_auc([]) is None


def test_the_interval_of_a_paired_difference_holds_the_difference():
    """Two encoders of the same rows, one with more noise: 95 of 100 intervals hold what very many rows give."""

    def difference(seed, n):
        z, other = drawn(n, 1.0, seed)
        worse = z + 1.3 * np.random.default_rng(seed + 10_000).normal(size=z.shape)
        found = (Found(pair_auc([Pairs(z, w, np.arange(n))])) for w in (worse, other))
        return apart(*found)

    truth = np.mean([difference(seed, 600)[0] for seed in range(1000, 1012)])
    held = [low <= truth <= high for _, low, high in (difference(seed, 60) for seed in range(200))]
    assert 0.9 <= np.mean(held) <= 0.99


def test_the_interval_of_one_number_holds_it():
    def found(seed, n):
        return Found(pair_auc([Pairs(*drawn(n, 1.0, seed), np.arange(n))]))

    truth = np.mean([found(seed, 600).evidence.value for seed in range(1000, 1012)])
    held = [low <= truth <= high for low, high in (interval(found(seed, 60)) for seed in range(200))]
    assert 0.9 <= np.mean(held) <= 0.99
