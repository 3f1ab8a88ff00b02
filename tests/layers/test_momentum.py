"""Momentum copies: the running mean of parameters, its schedule, and buffers of their own."""

import math

import pytest
import torch

from kontrast.layers.head import Head
from kontrast.layers.momentum import MomentumCopy, cosine_momentum
from kontrast.layers.predictor import Predictor

pytestmark = pytest.mark.quick


def test_a_copy_follows_its_original_as_the_running_mean_says_and_learns_nothing():
    torch.manual_seed(0)
    original = Head(in_width=5, hidden=4, width=3)
    copied = MomentumCopy(original)
    expected = [p.detach().double().clone() for p in original.parameters()]
    for momentum in (0.9, 0.5, 1.0, 0.0):
        with torch.no_grad():
            for p in original.parameters():
                p.add_(torch.randn_like(p))
        copied.update(original, momentum)
        expected = [
            momentum * e + (1 - momentum) * p.detach().double()
            for e, p in zip(expected, original.parameters(), strict=True)
        ]
        for own, e in zip(copied.module.parameters(), expected, strict=True):
            torch.testing.assert_close(own.double(), e, rtol=1e-6, atol=1e-6)
    assert not any(p.requires_grad for p in copied.parameters())
    for own, p in zip(copied.module.parameters(), original.parameters(), strict=True):
        assert torch.equal(own, p)  # a momentum of 0 copies exactly


def test_statistics_of_a_batch_norm_come_from_what_the_copy_itself_has_seen():
    original = Head(in_width=2, hidden=3, width=2)
    copied = MomentumCopy(original)
    original(torch.randn(8, 2) + 5)
    assert torch.equal(copied.module.net[1].running_mean, torch.zeros(3))
    copied.update(original, 0.0)
    assert torch.equal(copied.module.net[1].running_mean, torch.zeros(3))
    copied(torch.randn(8, 2))
    assert copied.module.net[1].num_batches_tracked == 1


def test_the_momentum_rises_along_half_a_cosine():
    for k in range(11):
        p = k / 10
        assert cosine_momentum(0.996, 1.0, p) == pytest.approx(1 - 0.004 * (math.cos(math.pi * p) + 1) / 2, abs=1e-12)
    assert cosine_momentum(0.99, 0.99, 0.3) == 0.99
    assert cosine_momentum(0.9, 1.0, 1.0) == 1.0


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_an_output_that_is_normalised_has_neither_scale_nor_offset(norm):
    torch.manual_seed(0)
    normed = Predictor(width=6, hidden=4, norm=norm, last_norm=True)
    linear = normed.net.net[-1 if norm == "none" else -2]
    assert (linear.bias is None) == (norm != "none")
    z = normed(3 * torch.randn(64, 6) + 1)
    assert z.shape == (64, 6)
    if norm == "batch":
        torch.testing.assert_close(z.mean(0), torch.zeros(6), rtol=0, atol=1e-5)
    if norm == "layer":
        torch.testing.assert_close(z.mean(1), torch.zeros(64), rtol=0, atol=1e-5)
    assert norm == "none" or not [*normed.net.net[-1].parameters()]
