"""The encoder of TS2Vec: equal to the plain transcription of the paper, and blind to the padding of its batch."""

import math

import pytest
import torch
from torch.nn import functional as F

from benchmarks.league.contestants import ts2vec
from kontrast.core.errors import UserError
from kontrast.encoders.dilated_cnn import DilatedCNN


def network(**settings):
    torch.manual_seed(0)
    return DilatedCNN(**{"channels": 2, "hidden": 8, "out": 12, "depth": 4, **settings}).eval()


def transcribed(channels=2):
    """The contestant's network and ours with the same weights, at the paper's size."""
    torch.manual_seed(1)
    net, ours = ts2vec.Net(channels).eval(), DilatedCNN(channels=channels).eval()
    for mine, theirs in zip(ours.parameters(), net.parameters(), strict=True):
        assert mine.shape == theirs.shape
        mine.data.copy_(theirs)
    return net, ours


@pytest.mark.parametrize("length", [1, 7, 60])
def test_it_equals_the_plain_transcription_of_the_paper(length):
    net, ours = transcribed()
    x = torch.randn(2, 2, length)
    if length > 9:
        x[0, :, 3:9] = math.nan
    found = ours(x)
    torch.testing.assert_close(found.dense, net(x.mT), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.pooled, net(x.mT).amax(1), atol=1e-5, rtol=1e-4)
    assert (found.pooled.shape[1], found.dense.shape[2]) == (ours.width, ours.dense_width) == (320, 320)


def test_an_instant_hidden_in_training_is_one_that_is_missing():
    """Masking the projection, as the authors do, is leaving the instant out of the input."""
    net, ours = transcribed(1)
    x = torch.randn(1, 1, 12)
    seen = torch.tensor([1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1]).bool()
    h = (net.enter(x.mT) * seen[None, :, None]).mT
    found = ours(x.masked_fill(~seen, math.nan))
    torch.testing.assert_close(found.dense, net.blocks(h).mT, atol=1e-5, rtol=1e-4)
    assert found.mask.all()


@pytest.mark.parametrize("more", [1, 5, 64])
def test_padding_and_the_rows_beside_it_change_nothing(more):
    encoder, x = network(), torch.randn(3, 2, 20)
    x[1, :, 11:] = math.nan
    wanted = encoder(x)
    found = encoder(F.pad(torch.cat([x, torch.randn(1, 2, 20)]), (0, more), value=math.nan))
    torch.testing.assert_close(found.pooled[:3], wanted.pooled, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.dense[:3, :20], wanted.dense, atol=1e-6, rtol=1e-5)
    assert found.mask.sum(1).tolist() == [20, 11, 20, 20]
    torch.testing.assert_close(encoder(x[1:2, :, :11]).dense, wanted.dense[1:2, :11], atol=1e-6, rtol=1e-5)


def test_a_gap_is_no_zero_and_one_channel_may_be_missing_alone():
    encoder, x = network(), torch.randn(2, 2, 20)
    gap, zero, half = x.clone(), x.clone(), x.clone()
    gap[:, :, 5:9], zero[:, :, 5:9], half[:, 1] = math.nan, 0.0, math.nan
    assert (encoder(gap).pooled - encoder(zero).pooled).abs().max() > 1e-3
    assert (encoder(half).pooled - encoder(x).pooled).abs().max() > 1e-3
    assert encoder(half).pooled.isfinite().all()
    assert not encoder(torch.full_like(x, math.nan)).pooled.any()


def test_gradients_are_finite_reach_every_weight_and_are_the_same_recomputed():
    encoder, x = network().train(), torch.randn(3, 2, 40)
    encoder.dropout.p = 0.0
    x[0, :, 4:9], x[1, :, 20:], x[2] = math.nan, math.nan, math.nan
    slopes = []
    for _ in range(2):
        encoder.zero_grad()
        encoder(x).dense.square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in encoder.parameters())
        slopes.append([p.grad.clone() for p in encoder.parameters()])
        assert encoder.recompute()
    torch.testing.assert_close(slopes[0], slopes[1])


def test_a_graph_traced_at_one_length_holds_at_others():
    encoder = network()
    traced = torch.export.export(
        Traced(encoder),
        (torch.randn(2, 2, 12),),
        dynamic_shapes=({0: torch.export.Dim("b"), 2: torch.export.Dim("t")},),
    ).module()
    for length in (5, 12, 40):
        x = torch.randn(3, 2, length)
        torch.testing.assert_close(traced(x), encoder(x).pooled, atol=1e-6, rtol=1e-5)


class Traced(torch.nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, x):
        return self.encoder.traced(x)


@pytest.mark.parametrize("settings", [{"hidden": 0}, {"out": 0}, {"depth": 0}, {"dropout": 1.0}])
def test_nonsense_is_refused_in_words(settings):
    with pytest.raises(UserError, match=next(iter(settings))):
        DilatedCNN(**settings)


def test_a_hidden_last_instant_is_no_shorter_row_if_the_end_is_given():
    """As the authors' mask of the last instant, which leaves the row as long as it was."""
    net, ours = transcribed(1)
    x = torch.randn(2, 1, 12)
    ends = torch.tensor([12, 7])
    x[1, :, 7:] = math.nan
    assert torch.equal(ours.until(x, ends).dense, ours(x).dense)
    assert torch.equal(ours.until(x, ends).pooled, ours(x).pooled)
    hidden = x.clone()
    hidden[0, :, 11] = hidden[1, :, 6] = math.nan
    found = ours.until(hidden, ends)
    seen = torch.arange(12) < 11
    h = (net.enter(x[:1].mT) * seen[None, :, None]).mT
    torch.testing.assert_close(found.dense[:1], net.blocks(h).mT, atol=1e-5, rtol=1e-4)
    assert found.mask.sum(1).tolist() == [12, 7]
    assert ours(hidden).mask.sum(1).tolist() == [11, 6]  # without it, the row seems to end earlier
    torch.testing.assert_close(found.dense[1, :7], ours.until(hidden[1:, :, :7], ends[1:]).dense[0])
