"""The encoder of TF-C: amplitudes are those of the Fourier transform, and no row depends on its batch."""

import math

import pytest
import torch

from kontrast.core.errors import UserError
from kontrast.encoders.time_frequency import TimeFrequency

pytestmark = pytest.mark.quick


def encoder(length=16):
    torch.manual_seed(0)
    return TimeFrequency(channels=2, length=length, hidden=4, out=3).eval()


@torch.no_grad()
@pytest.mark.parametrize("length", [15, 16])
def test_amplitudes_are_those_of_the_transform_of_the_longest_row(length):
    x = torch.randn(3, 2, length)
    x[0, :, 9:], x[1, 0, 3] = math.nan, math.nan
    wanted = torch.fft.rfft(x.nan_to_num(0.0), dim=2).abs() / length**0.5
    torch.testing.assert_close(encoder(length).amplitudes(x), wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(encoder(length).amplitudes(x[:1, :, :9]), wanted[:1], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_halves_are_of_time_and_of_frequency():
    net, x = encoder(), torch.randn(3, 2, 16)
    pooled, dense, mask = net(x)
    assert (pooled.shape, net.width, dense, mask) == ((3, 12), 12, None, None)
    torch.testing.assert_close(pooled[:, :6], net.time(x).pooled)
    torch.testing.assert_close(pooled[:, 6:], net.frequency(net.amplitudes(x)).pooled)
    torch.testing.assert_close(net.traced(x), pooled)
    turned = net(x.roll(5, 2)).pooled  # another phase, the same amplitudes
    torch.testing.assert_close(turned[:, 6:], pooled[:, 6:], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(turned[:, :6], pooled[:, :6])


@torch.no_grad()
def test_rows_of_other_lengths_and_of_gaps_alone_depend_on_no_other():
    net, lengths = encoder(), torch.tensor([9, 16, 2])
    x = torch.randn(3, 2, 16).masked_fill(torch.arange(16) >= lengths[:, None, None], math.nan)
    for n, long in enumerate(lengths):
        torch.testing.assert_close(net(x[n : n + 1, :, :long]).pooled[0], net(x).pooled[n], atol=1e-5, rtol=1e-4)
    assert net(x * math.nan).pooled.eq(0).all()


def test_gradients_reach_every_weight_and_a_longer_row_is_refused():
    net = encoder()
    assert net.recompute()
    x = torch.randn(3, 2, 16, requires_grad=True)
    (net(x * (torch.arange(3) > 0)[:, None, None]).pooled ** 2).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (*net.parameters(), x))
    assert not {"cosine", "sine"} & set(net.state_dict())
    with pytest.raises(UserError, match="found 17 instants; expected at most 16"):
        net(torch.zeros(1, 2, 17))
