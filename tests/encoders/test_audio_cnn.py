"""The network for spectrograms: padding and neighbours change nothing, any length passes, order matters."""

import pytest
import torch

from kontrast.core.errors import UserError
from kontrast.encoders.audio_cnn import AudioCNN


@pytest.fixture
def network():
    torch.manual_seed(0)
    return AudioCNN(mels=40, base=4, out=8).eval(), torch.randn(3, 1, 40, 50)


def padded(x, more):
    return torch.nn.functional.pad(x, (0, more), value=torch.nan)


@pytest.mark.parametrize("more", [1, 7, 64])
def test_padding_changes_nothing(network, more):
    encoder, x = network
    found, wide = encoder(x), encoder(padded(x, more))
    torch.testing.assert_close(wide.pooled, found.pooled, atol=1e-5, rtol=0)
    assert torch.equal(wide.mask.sum(1), found.mask.sum(1))


@pytest.mark.parametrize("frames", [1, 2, 3, 17, 300])
def test_any_length_passes(network, frames):
    encoder, _ = network
    found = encoder(torch.randn(2, 1, 40, frames))
    assert found.pooled.shape == (2, encoder.width)
    assert found.dense.shape == (2, -(-frames // 8), 8)
    assert torch.isfinite(found.pooled).all()


def test_a_row_without_frames_is_zero(network):
    encoder, x = network
    x[1] = torch.nan
    assert (encoder(x).pooled[1] == 0).all()
    assert (encoder(x).pooled[0] != 0).any()


def test_the_order_of_time_matters(network):
    encoder, x = network
    x[..., :25] += 2
    one, two = encoder(x).pooled, encoder(x.flip(-1)).pooled
    assert (one - two).abs().max() > 0.5


def test_without_statistics_the_width_is_that_of_the_convolutions(network):
    assert AudioCNN(mels=40, base=4, out=8, statistics=False).width == 40
    assert network[0].width == 180


def test_refuses_a_setting_below_1():
    with pytest.raises(UserError, match="base=0"):
        AudioCNN(base=0)
