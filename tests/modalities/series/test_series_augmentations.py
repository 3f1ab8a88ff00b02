"""Augmentations of TS-TCC: factors of instants, segments that change places, rows alone as in a batch."""

import math
from itertools import pairwise

import pytest
import torch

from kontrast.data.augmentation import streams_of
from kontrast.modalities.series.augmentations.jitter_scale import JitterScale
from kontrast.modalities.series.augmentations.permutation import Permutation

pytestmark = pytest.mark.quick

STREAMS = streams_of(torch.arange(400) * 7919)


def segments(row):
    """The runs of instants that stayed together, in the new order."""
    cuts = [0, *[t for t in range(1, len(row)) if row[t] != row[t - 1] + 1], len(row)]
    return [row[a:b] for a, b in pairwise(cuts)]


def test_factors_are_those_of_the_authors_and_shared_by_channels():
    x = torch.ones(400, 2, 30) * torch.tensor([1.0, -3.0])[:, None]
    seen = JitterScale()(x.clone(), STREAMS)
    factor = seen[:, 0]
    assert torch.allclose(seen[:, 1], -3 * factor)
    assert (factor.mean().item(), factor.std().item()) == pytest.approx((2, 1.1), abs=0.03)
    assert factor.std(0).mean().item() == pytest.approx(1.1, abs=0.05)  # of an instant over the rows
    assert factor.std(1).mean().item() == pytest.approx(1.1, abs=0.05)  # of a row over its instants
    noise = JitterScale(around=1.0, scale=0.0, jitter=0.5)(x.clone(), STREAMS) - x
    assert noise.std((0, 2)).tolist() == pytest.approx([0.5, 0.5], abs=0.02)


def test_segments_change_places_and_every_number_of_them_occurs():
    x = torch.arange(40.0).expand(400, 2, 40).clone()
    x[:, 1] += 100
    seen = Permutation(segments=4, jitter=0)(x.clone(), STREAMS)
    assert torch.equal(seen[:, 1] - 100, seen[:, 0])
    assert torch.equal(seen.sort(2).values, x)
    found = [len(segments(row)) for row in seen[:, 0].tolist()]
    assert {*found} == {1, 2, 3, 4}
    assert max(found.count(n) for n in (1, 2, 3, 4)) < 200  # one of four, and more of one since an order may be the old
    assert {row[0] for row in seen[:, 0].tolist()} >= {0.0, 7.0, 20.0, 33.0}  # it may begin anywhere
    noisy = Permutation(segments=1)(x.clone(), STREAMS) - x
    assert noisy.std().item() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("change", [JitterScale(jitter=0.1), Permutation()])
def test_a_row_depends_neither_on_its_padding_nor_on_its_batch(change):
    x = torch.randn(6, 2, 24, generator=torch.Generator().manual_seed(0))
    x[1, :, 15:], x[2, :, 4:9], x[3] = math.nan, math.nan, math.nan
    streams = streams_of(torch.arange(6) + 5)
    seen = change(x.clone(), streams)
    padded = change(torch.nn.functional.pad(x, (0, 9), value=math.nan), streams)
    torch.testing.assert_close(padded[..., :24], seen, equal_nan=True, rtol=0, atol=0)
    assert padded[..., 24:].isnan().all()
    alone = change(x[1:2, :, :15].clone(), streams[1:2])
    torch.testing.assert_close(alone, seen[1:2, :, :15], equal_nan=True, rtol=0, atol=0)
    assert seen.isnan().sum(2).tolist() == x.isnan().sum(2).tolist()  # gaps move with their segment
    assert seen[1, :, :15].isfinite().all()
