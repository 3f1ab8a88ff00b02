"""Streams of rows, views and steps; Beta numbers from them."""

import pytest
import torch
from scipy import stats

from kontrast.core import random_streams
from kontrast.core.random_streams import Streams

pytestmark = pytest.mark.quick


def keys(n, seed=0):
    return random_streams.key(seed, 0, torch.arange(n), 0)


def test_the_streams_of_a_step_differ_by_seed_step_and_view_and_from_those_of_rows():
    drawn = [random_streams.step_keys(seed, step, range(3)) for seed in (0, 1) for step in (0, 1, 2)]
    rows = random_streams.keys(0, 0, torch.arange(3), range(3)).flatten()
    everything = torch.cat([*drawn, rows])
    assert len(everything.unique()) == len(everything)
    assert torch.equal(random_streams.step_keys(1, 2, range(3)), drawn[-1])
    assert torch.equal(random_streams.step_keys(1, 2, [2]), drawn[-1][2:])


def test_forked_streams_are_others_and_slices_keep_the_rows_together():
    one = Streams(keys(6), keys(6, 1), random_streams.step_keys(0, 3, [0]).expand(6))
    other = one.fork(5)
    for name in ("view_B", "row_B", "step_B"):
        assert not (getattr(one, name) == getattr(other, name)).any()
        assert torch.equal(getattr(other[2:4], name), getattr(other, name)[2:4])
    assert len(other.step_B.unique()) == 1


@pytest.mark.parametrize(("alpha", "other"), [(1.0, None), (0.5, None), (2.0, None), (8.0, None), (0.4, 3.0), (2, 5)])
def test_beta_numbers_follow_their_distribution(alpha, other):
    found = random_streams.beta(keys(20_000, seed=2), alpha, other).double()
    wanted = stats.beta(alpha, alpha if other is None else other)
    assert found.mean().item() == pytest.approx(wanted.mean(), abs=4 * wanted.std() / 20_000**0.5)
    assert found.var().item() == pytest.approx(wanted.var(), rel=0.04)
    assert stats.kstest(found.numpy(), wanted.cdf).pvalue > 1e-3
    assert found.min() >= 0
    assert found.max() <= 1


def test_beta_numbers_of_a_tiny_alpha_are_heads_or_tails():
    found = random_streams.beta(keys(5000), 1e-4)
    assert torch.isfinite(found).all()
    assert ((found < 1e-6) | (found > 1 - 1e-6)).float().mean() > 0.99
    assert found.mean().item() == pytest.approx(0.5, abs=0.03)


def test_a_row_s_beta_number_is_its_own_in_any_batch():
    whole = random_streams.beta(keys(100), 0.3)
    order = torch.randperm(100)
    assert torch.equal(random_streams.beta(keys(100)[order], 0.3), whole[order])
    assert torch.equal(random_streams.beta(keys(100)[7:8], 0.3), whole[7:8])
    assert len(whole.unique()) > 90
