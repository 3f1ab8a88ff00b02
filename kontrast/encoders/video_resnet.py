"""A small ResNet for each frame of a clip, and convolutions over time.

Axis letters: B rows, T frames, C channels, S the side of a frame, D features of a frame, H features over time.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.encoders.resnet import ResNet

_REACH = 3  # frames that a convolution over time sees


class VideoResNet(Encoder):
    """Residual network per frame, means of its features, and convolutions over time for what moves.

    Take it for short videos from scratch on a CPU or a small GPU. The mean over time keeps what is seen, which needs
    no order; the convolutions see the order of frames, which says where things move.

    Args:
        channels: Of the frames; from the data.
        size: Side of the frames in pixels; from the data.
        base: Channels of the first stage of the ResNet; half of those of pictures, since a clip has many frames.
        blocks: Residual blocks per stage.
        thin: Channels of the last map of a frame; a frame has 16 times as many features.
        hidden: Features over time.

    Raises:
        UserError: a setting below 1.

    Reference:
        He et al. 2016, arXiv:1512.03385; frames apart and time afterwards as in R(2+1)D, Tran et al. 2018,
        arXiv:1711.11248.

    Example:
        >>> VideoResNet(channels=3, size=32)(torch.zeros(2, 8, 3, 32, 32)).pooled.shape
        torch.Size([2, 512])
    """

    def __init__(
        self, *, channels: int, size: int = 32, base: int = 16, blocks: int = 1, thin: int = 16, hidden: int = 128
    ) -> None:
        super().__init__()
        if hidden < 1:
            raise UserError(f"video_resnet: hidden={hidden}: expected 1 or more.")
        self.frame = ResNet(channels=channels, size=size, base=base, blocks=blocks, thin=thin)
        pad = _REACH // 2
        self.first = nn.Conv1d(self.frame.width, hidden, _REACH, padding=pad, bias=False)
        self.first_norm = nn.BatchNorm1d(hidden)
        self.second = nn.Conv1d(hidden, hidden, _REACH, padding=pad, bias=False)
        self.second_norm = nn.BatchNorm1d(hidden)
        self.width, self.dense_width = self.frame.width + 2 * hidden, hidden

    def forward(self, x: Tensor) -> Features:
        """Features of clips, dense ones per frame.

        Args:
            x: (B, T, C, S, S).

        Returns:
            Pooled (B, width); dense (B, T, dense_width) in the order of time.
        """
        f_BTD = self.frame(x.flatten(0, 1)).pooled.unflatten(0, (-1, x.shape[1]))
        h_BHT = F.relu(self.first_norm(self.first(f_BTD.mT)))
        h_BHT = F.relu(h_BHT + self.second_norm(self.second(h_BHT)))
        pooled = torch.cat([f_BTD.mean(1), h_BHT.mean(2), h_BHT.amax(2)], 1)
        return Features(pooled, h_BHT.mT)
