"""PointNet and DGCNN: the order of points does not matter, a row does not depend on its batch, dense follows points."""

import pytest
import torch

from kontrast.core.errors import UserError
from kontrast.encoders.dgcnn import DGCNN, nearest
from kontrast.encoders.pointnet import PointNet

pytestmark = pytest.mark.quick
MADE = {
    "pointnet": lambda: PointNet(channels=6, base=8, out=16),
    "dgcnn": lambda: DGCNN(channels=6, base=8, out=16, neighbours=5),
}


@pytest.fixture(params=MADE)
def network(request):
    torch.manual_seed(0)
    encoder = MADE[request.param]()
    encoder(torch.randn(8, 6, 30))  # running statistics that are not those of the start
    return encoder.eval(), torch.randn(4, 6, 30)


@torch.no_grad()
def test_shapes_are_as_announced_and_no_row_depends_on_its_batch(network):
    encoder, x = network
    pooled, dense, mask = encoder(x)
    assert pooled.shape == (4, encoder.width)
    assert dense.shape == (4, 30, encoder.dense_width)
    assert mask is None
    alone = encoder(x[2:3])
    torch.testing.assert_close(alone.pooled[0], pooled[2], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(alone.dense[0], dense[2], atol=1e-5, rtol=1e-4)
    encoder.gives_dense = False
    assert torch.equal(encoder(x).pooled, pooled)
    assert encoder(x).dense is None


@torch.no_grad()
def test_another_order_of_points_changes_only_the_order_of_dense_features(network):
    encoder, x = network
    order = torch.randperm(30)
    found, other = encoder(x), encoder(x[..., order])
    torch.testing.assert_close(other.pooled, found.pooled, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(other.dense, found.dense[:, order], atol=1e-5, rtol=1e-4)


def test_every_weight_gets_a_gradient(network):
    encoder, x = network
    encoder.train()
    found = encoder(x)
    (found.pooled.square().sum() + found.dense.square().sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in encoder.parameters())


@torch.no_grad()
def test_dgcnn_sees_neighbours_and_pointnet_does_not():
    torch.manual_seed(0)
    x = torch.randn(1, 3, 40)
    far = x.clone()
    far[..., 0] += 0.3
    for encoder, more in ((PointNet(base=8, out=8), False), (DGCNN(base=8, depth=1, out=8, neighbours=4), True)):
        encoder.eval()
        own = encoder.dense_width - 8  # without the maximum over the cloud
        moved = (encoder(far).dense - encoder(x).dense)[0, :, :own].abs().amax(1) > 1e-6
        assert moved[0]
        assert bool(moved[1:].any()) == more


def test_nearest_points_are_those_of_a_slow_loop():
    x = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(1))
    found = nearest(x, 4)
    for b in range(2):
        for p in range(12):
            far = [float((x[b, :, p] - x[b, :, q]).norm()) for q in range(12)]
            assert set(found[b, p].tolist()) == set(sorted(range(12), key=far.__getitem__)[:4])
    assert nearest(x, 99).shape == (2, 12, 12)


def test_a_setting_below_1_is_refused():
    with pytest.raises(UserError, match="pointnet: base=0"):
        PointNet(base=0)
    with pytest.raises(UserError, match="dgcnn: base=64, depth=0"):
        DGCNN(depth=0)
