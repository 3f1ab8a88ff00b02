"""Augmentations of points do what their equations say, row by row."""

import pytest
import torch

from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.data.augmentation import streams_of
from kontrast.modalities.points.augmentations.point_crop import PointCrop
from kontrast.modalities.points.augmentations.point_drop import PointDrop
from kontrast.modalities.points.augmentations.point_jitter import PointJitter
from kontrast.modalities.points.augmentations.point_rotation import PointRotation
from kontrast.modalities.points.augmentations.point_scale import PointScale

pytestmark = pytest.mark.quick
NAMES = ["point_rotation", "point_jitter", "point_drop", "point_crop", "point_scale"]
STREAMS = streams_of(torch.arange(64) * 977 + 3)


def points(channels=3, n=64):
    return torch.randn(n, channels, 120, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_depends_on_its_own_streams_alone(name):
    x = points(6)
    change = factory.build("augmentations", name, {})
    seen = change(x.clone(), STREAMS)
    assert (seen.shape, seen.dtype) == (x.shape, x.dtype)
    assert not torch.equal(seen, x)
    torch.testing.assert_close(change(x.clone(), STREAMS), seen, rtol=0, atol=0)
    torch.testing.assert_close(change(x[3:5].clone(), STREAMS[3:5]), seen[3:5], rtol=0, atol=1e-6)
    with pytest.raises(UserError, match=f"{name}: expected points of three coordinates"):
        change(torch.zeros(2, 3, 8, 8), STREAMS[:2])
    with pytest.raises(UserError, match="series of 2 channels"):
        change(torch.zeros(2, 2, 8), STREAMS[:2])


@pytest.mark.parametrize("about", ["x", "y", "z", "any"])
def test_a_rotation_keeps_distances_and_hands_and_its_axis(about):
    x = points(6)
    y = PointRotation(about=about, normals=True)(x, STREAMS)
    gaps = [(z[:, :3, 1:] - z[:, :3, :-1]).norm(dim=1) for z in (x, y)]
    torch.testing.assert_close(*gaps)
    turn = torch.linalg.lstsq(x[:, :3].mT.double(), y[:, :3].mT.double()).solution
    torch.testing.assert_close(torch.linalg.det(turn), torch.ones(64).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close((x[:, 3:].mT.double() @ turn).mT.float(), y[:, 3:], atol=1e-4, rtol=0)
    if about != "any":
        at = "xyz".index(about)
        torch.testing.assert_close(y[:, at], x[:, at])
    else:  # no direction is commoner than another
        assert turn[:, 2].mean(0).abs().max() < 0.3


def test_small_angles_turn_little():
    x = points()
    y = PointRotation(about="z", degrees=5)(x, STREAMS)
    cosine = (x[:, :2] * y[:, :2]).sum(1) / (x[:, :2].norm(dim=1) * y[:, :2].norm(dim=1))
    assert cosine.min() >= torch.deg2rad(torch.tensor(5.0)).cos() - 1e-4


def test_jitter_has_its_deviation_and_leaves_other_channels():
    x = points(6)
    y = PointJitter(deviation=0.02)(x, STREAMS)
    assert (y - x)[:, :3].std() == pytest.approx(0.02, rel=0.05)
    assert torch.equal(y[:, 3:], x[:, 3:])


def test_drop_leaves_out_up_to_its_share():
    x = points()
    left = torch.tensor([len(one.unique()) for one in PointDrop(most=0.5)(x, STREAMS)[:, 0]]) / 120
    assert left.min() > 0.4
    assert left.max() > 0.95
    assert left.mean() == pytest.approx(0.75, abs=0.05)


def test_a_crop_keeps_what_is_near_and_fills_the_sphere():
    x = points()
    y = PointCrop(least=0.3)(x, STREAMS)
    torch.testing.assert_close(y.square().sum(1).amax(1), torch.ones(64))
    kept = torch.tensor([len(one.unique()) for one in y[:, 0]]) / 120
    assert kept.min() >= 0.3
    assert kept.max() > 0.9


def test_scale_is_within_its_range():
    factor = PointScale(most=0.5)(torch.ones(64, 3, 1), STREAMS)
    assert 1 / 1.5 <= factor.min() < 0.75 < 1.35 < factor.max() <= 1.5
    same = PointScale(most=0.5, each=False)(torch.ones(64, 3, 1), STREAMS)
    assert torch.equal(same[:, 0], same[:, 1])
