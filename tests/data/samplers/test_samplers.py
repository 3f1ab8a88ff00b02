"""Samplers: functions of (seed, step), the same on any number of ranks; balanced gives P classes x K rows."""

import numpy as np
import pytest

from kontrast.core import factory, registry
from kontrast.core.errors import UserError
from kontrast.data.samplers.sampler import Sampled

pytestmark = pytest.mark.quick

LABELS = np.r_[np.repeat(np.arange(12), 10), np.repeat(12, 3), np.full(9, -1)]


def sampler(name, batch=32, seed=5, **settings):
    rows = np.arange(1000, 1000 + len(LABELS))
    weights = np.linspace(0.5, 2, len(rows))
    return factory.build("samplers", name, settings, given={"sampled": Sampled(rows, batch, seed, weights, LABELS)})


@pytest.mark.parametrize("name", sorted(registry.kinds("samplers")))
def test_a_step_is_a_function_of_seed_and_step_split_over_the_ranks(name):
    one, two = sampler(name), sampler(name)
    later = one.at(37)
    [two.at(n) for n in (3, 90, 36)]
    assert (two.at(37) == later).all()
    assert len(later) == 32
    assert (np.concatenate([one.at(37, rank, 3) for rank in range(3)]) == later).all()
    assert not np.array_equal(sampler(name, seed=6).at(37), later)


def test_balanced_gives_k_rows_of_each_class_it_draws_and_every_class_alike():
    one = sampler("balanced", batch=24, per_class=4)
    drawn = [LABELS[one.at(step) - 1000] for step in range(40 * one.per_epoch)]
    assert (np.concatenate(drawn) >= 0).all()
    full = [np.unique(batch, return_counts=True) for batch in drawn if 12 not in batch]
    assert any((counts == 4).all() and len(classes) == 6 for classes, counts in full)
    counts = np.bincount(np.concatenate(drawn))
    assert counts[:12].max() - counts[:12].min() <= 0.15 * counts[0]  # an epoch cuts its last round
    assert counts[12] == pytest.approx(0.75 * counts[:12].mean(), rel=0.1)  # a class of three gives its three


def test_balanced_goes_through_all_rows_of_a_class_before_it_begins_again():
    one = sampler("balanced", batch=52, per_class=5)
    drawn = one.drawn(0)
    for label in range(12):
        mine = drawn[LABELS[drawn] == label][:10]
        assert len(mine) == len(set(mine.tolist())) >= 5


def test_what_a_sampler_needs_and_lacks_is_said():
    bare = Sampled(np.arange(9), 4, 0)
    with pytest.raises(UserError, match="--label"):
        factory.build("samplers", "balanced", {}, given={"sampled": bare})
    with pytest.raises(UserError, match="weight"):
        factory.build("samplers", "weighted", {}, given={"sampled": bare})
    with pytest.raises(UserError, match="per_class=0"):
        sampler("balanced", per_class=0)
