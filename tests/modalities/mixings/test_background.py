"""A background is heard at its weight, and nothing is heard after the end of either sound."""

import math

import pytest
import torch

from kontrast.core.errors import UserError
from kontrast.data.augmentation import streams_of
from kontrast.modalities.mixings.background import Background


def test_equals_the_sum_of_powers_of_a_slow_loop():
    x, other = torch.randn(2, 16, 1, 5, 6)
    seen, share = Background(most=0.4)(x, other, streams_of(torch.arange(16)))
    assert share.min() >= 0.6
    for row, a, b, weight in zip(seen, x, other, share.tolist(), strict=True):
        for y, p, q in zip(row.flatten().tolist(), a.flatten().tolist(), b.flatten().tolist(), strict=True):
            assert y == pytest.approx(math.log(weight * math.exp(p) + (1 - weight) * math.exp(q)), abs=1e-5)


def test_a_sound_that_has_ended_stays_so_and_a_short_background_leaves_the_rest_alone():
    x, other = torch.randn(2, 4, 1, 5, 6)
    x[..., 4:] = torch.nan
    other[..., 2:] = torch.nan
    seen, _ = Background()(x, other, streams_of(torch.arange(4)))
    assert torch.equal(seen.isnan(), x.isnan())
    assert torch.equal(seen[..., 2:4], x[..., 2:4])
    assert not torch.equal(seen[..., :2], x[..., :2])


def test_waveforms_are_refused():
    with pytest.raises(UserError, match="background: expected spectrograms"):
        Background()(torch.zeros(2, 1, 9), torch.zeros(2, 1, 9), streams_of(torch.arange(2)))
