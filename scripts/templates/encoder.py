"""States in one line the architecture and the data it is for."""

from typing import Annotated

from torch import Tensor, nn

from kontrast.core.factory import Range
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features


class Template(Encoder):
    """Two convolutions and a mean over the image.

    Say here when to take it, and which encoder to take instead otherwise.

    Args:
        channels: Channels of the images; the data gives it.
        width: Numbers per feature vector. Say where the default comes from.

    Equation:
        h = mean over pixels of relu(W2 * relu(W1 * x))

    Reference:
        Author et al. YEAR, arXiv:NUMBER.

    Example:
        >>> import torch
        >>> Template(channels=1, width=32)(torch.zeros(2, 1, 28, 28)).pooled.shape
        torch.Size([2, 32])
    """

    def __init__(self, *, channels: int = 3, width: Annotated[int, Range(1, 65536)] = 64) -> None:
        super().__init__()
        self.width = width
        self.net = nn.Sequential(
            nn.Conv2d(channels, width, 5, stride=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def forward(self, x: Tensor) -> Features:
        """Images (B, channels, H, W) -> pooled features (B, width)."""
        return Features(self.net(x))
