"""The temporal convolutional network: padding and neighbours change nothing, gaps are no values, any length passes."""

import math

import pytest
import torch

from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.encoders.tcn import TCN

CASES = [(30, "statistics"), (100, "max_mean"), (100, "statistics"), (700, "max_mean")]
pytestmark = pytest.mark.quick


@pytest.fixture(params=CASES, ids=lambda case: f"length {case[0]}, {case[1]}")
def network(request):
    torch.manual_seed(0)
    length, pool = request.param
    return TCN(channels=2, length=length, hidden=16, out=24, pool=pool).eval(), torch.randn(3, 2, length)


def padded(x, more):
    return torch.nn.functional.pad(x, (0, more), value=math.nan)


def test_features_have_the_promised_width(network):
    encoder, x = network
    assert encoder(x).pooled.shape == (3, encoder.width) == (3, 120 if encoder.statistics else 48)


def test_statistics_are_those_of_the_known_instants():
    torch.manual_seed(0)
    encoder = TCN(channels=2, length=40, out=24, pool="statistics").eval()
    x = torch.randn(3, 2, 40)
    x[0, :, 30:], x[1, :, 7:11] = math.nan, math.nan
    features = encoder(x)
    for row, known in enumerate([range(30), [*range(7), *range(11, 40)], range(40)]):
        h = features.dense[row, list(known)]
        expected = torch.cat((h.amax(0), h.mean(0), h.amin(0), h.std(0, correction=0), (h > 0).float().mean(0)))
        torch.testing.assert_close(features.pooled[row], expected, atol=2e-3, rtol=1e-3)


def test_a_flat_feature_has_a_finite_gradient():
    encoder = TCN(length=16, hidden=4, out=4, pool="statistics")
    torch.nn.init.zeros_(encoder.blocks[-1].second.weight)
    encoder(torch.zeros(2, 1, 16)).pooled.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize("more", [1, 2, 5, 64])
def test_padding_changes_nothing(network, more):
    encoder, x = network
    torch.testing.assert_close(encoder(padded(x, more)).pooled, encoder(x).pooled, atol=1e-5, rtol=0)


def test_a_row_does_not_depend_on_the_rows_beside_it(network):
    encoder, x = network
    shorter = x[:1, :, :17]
    beside = torch.cat((padded(shorter, x.shape[-1] - 17), x))
    torch.testing.assert_close(encoder(beside).pooled[:1], encoder(shorter).pooled, atol=1e-5, rtol=0)


def test_a_gap_is_not_a_zero(network):
    encoder, x = network
    gap, zero = x.clone(), x.clone()
    gap[:, :, 5:12], zero[:, :, 5:12] = math.nan, 0.0
    assert (encoder(gap).pooled - encoder(zero).pooled).abs().max() > 1e-3


def test_one_channel_may_be_missing_alone(network):
    encoder, x = network
    x[:, 1] = math.nan
    assert encoder(x).pooled.isfinite().all()


def test_a_row_of_nothing_gives_zeros(network):
    encoder, x = network
    assert not encoder(torch.full_like(x, math.nan)).pooled.any()


def test_every_length_passes(network):
    encoder, _ = network
    for steps in (1, 2, 3, 1000):
        assert encoder(torch.randn(2, 2, steps)).pooled.isfinite().all()


def test_the_order_of_time_matters(network):
    encoder, x = network
    assert (encoder(x).pooled - encoder(x.flip(-1)).pooled).abs().max() > 1e-3


def test_gradients_are_finite_and_reach_every_weight(network):
    encoder, x = network
    x[0, :, 4:9] = math.nan
    x[1, :, 20:] = math.nan
    x[2] = math.nan
    encoder(x).pooled.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in encoder.parameters())


def test_the_middle_of_the_longest_row_sees_all_of_it():
    torch.manual_seed(0)
    encoder = TCN(length=128, hidden=8, out=8)
    h = torch.zeros(1, 8, 128, requires_grad=True)
    x, inside = h, torch.ones(1, 1, 128)
    for block in encoder.blocks:
        x = block(x, inside)
    x[0, :, 64].square().sum().backward()
    assert (h.grad[0].abs().sum(0) > 0).all()


def test_long_rows_are_strided_to_at_most_128_instants():
    assert [TCN(length=length).stride for length in (15, 128, 129, 512, 3000)] == [1, 1, 2, 4, 24]


def test_facts_of_a_series_fill_the_signature():
    built = factory.build("encoders", "tcn", {"hidden": 8}, {"channels": 3, "length": 40, "vocabulary": 7})
    assert built.stem.weight.shape == (8, 6, 3)


@pytest.mark.parametrize("settings", [{"hidden": 0}, {"out": 0}, {"depth": 0}, {"stride": -1}])
def test_nonsense_is_refused_in_words(settings):
    with pytest.raises(UserError, match=next(iter(settings))):
        TCN(**settings)


def test_a_hidden_last_instant_is_no_shorter_row_if_the_end_is_given():
    torch.manual_seed(0)
    encoder, x = TCN(channels=2, length=30, hidden=16, out=24).eval(), torch.randn(2, 2, 20)
    x[1, :, 13:] = math.nan
    ends = torch.tensor([20, 13])
    assert torch.equal(encoder.until(x, ends).dense, encoder(x).dense)
    hidden = x.clone()
    hidden[0, :, 19] = hidden[1, :, 12] = math.nan
    found = encoder.until(hidden, ends)
    assert found.mask.sum(1).tolist() == [20, 13]
    assert encoder(hidden).mask.sum(1).tolist() == [19, 12]
    torch.testing.assert_close(found.dense[1, :13], encoder.until(hidden[1:, :, :13], ends[1:]).dense[0])
