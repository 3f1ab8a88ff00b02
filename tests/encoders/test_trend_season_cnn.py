"""The encoder of CoST: trend and season are those of the paper, and no row depends on its batch."""

import math

import pytest
import torch

from kontrast.core.errors import UserError
from kontrast.encoders.trend_season_cnn import TrendSeasonCNN

pytestmark = pytest.mark.quick


def encoder(length=13, **settings):
    torch.manual_seed(0)
    small = {"channels": 2, "hidden": 4, "out": 6, "depth": 2} | settings
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return TrendSeasonCNN(length=length, **small).eval()
    finally:
        torch.set_default_dtype(before)


@torch.no_grad()
@pytest.mark.parametrize("length", [12, 13])
def test_the_season_is_the_spectrum_changed_per_frequency_and_back_in_time(length):
    net, h = encoder(length), torch.randn(2, length, 6).double()
    weight, bias = (torch.complex(*part) for part in (net.weight, net.bias))
    spectrum = torch.fft.rfft(h, dim=1)
    changed = torch.stack([spectrum[:, f] @ weight[f] + bias[f] for f in range(length // 2 + 1)], 1)
    torch.testing.assert_close(net.seasoned(h), torch.fft.irfft(changed, n=length, dim=1))
    short = torch.cat([h[:, :7], h[:, 7:] * 0], 1)  # a shorter row ends in zeros
    torch.testing.assert_close(net.seasoned(h[:, :7]), net.seasoned(short)[:, :7])


@torch.no_grad()
def test_the_trend_is_the_mean_of_causal_convolutions():
    net, h = encoder(20), torch.randn(2, 20, 6).double()
    assert [conv.kernel_size for conv in net.trend] == [(1,), (2,), (4,), (8,)]
    assert [conv.kernel_size for conv in encoder(20, reach=3).trend] == [(1,), (2,)]
    for t in (0, 5, 19):
        experts = []
        for conv in net.trend:
            k = conv.kernel_size[0]
            past = [h[:, t - k + 1 + j] if t - k + 1 + j >= 0 else h[:, 0] * 0 for j in range(k)]
            experts.append(conv.bias + sum(x @ conv.weight[:, :, j].T for j, x in enumerate(past)))
        torch.testing.assert_close(net.trended(h)[:, t], sum(experts) / 4)


@torch.no_grad()
def test_shapes_rows_of_other_lengths_gaps_and_rows_of_gaps_alone():
    net, lengths = encoder(16), torch.tensor([9, 12, 2, 16])
    x = torch.randn(4, 2, 16).double().masked_fill(torch.arange(16) >= lengths[:, None, None], math.nan)
    x[0, :, 3] = math.nan
    pooled, dense, mask = net(x)
    assert (pooled.shape, dense.shape, mask.sum(1).tolist()) == ((4, 6), (4, 16, 6), lengths.tolist())
    torch.testing.assert_close(net.traced(x), pooled)
    for n, long in enumerate(lengths):
        alone = net(x[n : n + 1, :, :long])
        torch.testing.assert_close(alone.dense[0], dense[n, :long])
        torch.testing.assert_close(alone.pooled[0], dense[n, :long].amax(0))
    assert net(x * math.nan).pooled.eq(0).all()
    twin = encoder(16)
    twin.load_state_dict(net.state_dict())  # the tables of cosines are no weights
    assert not {"cosine", "sine", "share"} & set(net.state_dict())
    torch.testing.assert_close(twin(x).dense, dense)


def test_gradients_reach_every_weight_also_when_blocks_recompute():
    slopes = []
    for recomputes in (False, True):
        net = encoder(16)
        assert not recomputes or net.recompute()
        net(torch.linspace(-1, 1, 64).view(2, 2, 16).double()).dense.square().sum().backward()
        slopes.append([p.grad for p in net.parameters()])
        assert all(slope is not None and slope.abs().sum() > 0 for slope in slopes[-1])
    torch.testing.assert_close(slopes[0], slopes[1])


def test_wrong_settings_and_longer_rows_are_refused_in_words():
    with pytest.raises(UserError, match="out=5; expected an even number"):
        encoder(out=5)
    with pytest.raises(UserError, match="reach=0; expected at least 1 instant"):
        encoder(reach=0)
    with pytest.raises(UserError, match="found 14 instants; expected at most 13"):
        encoder(13)(torch.zeros(1, 2, 14).double())
