"""The encoder of clips: frames by themselves, then their order."""

import pytest
import torch

from kontrast.core.errors import UserError
from kontrast.encoders.video_resnet import VideoResNet

pytestmark = pytest.mark.quick


def made(**settings):
    torch.manual_seed(0)
    return VideoResNet(**{"channels": 3, "size": 16, "base": 4, "thin": 4, "hidden": 12, **settings}).eval()


@torch.no_grad()
def test_dense_features_are_in_the_order_of_the_frames():
    encoder, x = made(), torch.randn(1, 9, 3, 16, 16)
    dense = encoder(x).dense[0]
    assert dense.shape == (9, encoder.dense_width)
    for t in range(9):
        other = x.clone()
        other[:, t] = 3 * torch.randn(3, 16, 16)
        change = (encoder(other).dense[0] - dense).norm(dim=1)
        assert abs(int(change.argmax()) - t) <= 1
        assert (change > 0).nonzero().flatten().sub(t).abs().max() <= 2  # two convolutions of three frames


@torch.no_grad()
def test_the_mean_over_frames_ignores_their_order_and_the_rest_sees_it():
    encoder, x = made(), torch.randn(2, 8, 3, 16, 16)
    forward, back = encoder(x).pooled, encoder(x.flip(1)).pooled
    frame = encoder.frame.width
    torch.testing.assert_close(forward[:, :frame], back[:, :frame])
    torch.testing.assert_close(forward[:, :frame], encoder.frame(x.flatten(0, 1)).pooled.view(2, 8, -1).mean(1))
    assert (forward[:, frame:] - back[:, frame:]).norm() > 0.1 * forward[:, frame:].norm()
    assert forward.shape == (2, encoder.width)


def test_a_setting_below_one_is_refused():
    with pytest.raises(UserError, match="hidden=0"):
        made(hidden=0)
