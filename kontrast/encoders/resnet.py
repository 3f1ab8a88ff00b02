"""A small fast ResNet for images of up to 64 pixels."""

import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.encoders.encoder import Encoder


class Resnet(Encoder):
    """(B, C, S, S) -> (B, width): four stages of residual blocks, each at half the resolution and twice the channels of the one before.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def __init__(self, *, channels: int, base: int = 32, blocks: int = 1, stages: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, base, 4, 2, 1, bias=False), nn.BatchNorm2d(base), nn.ReLU(inplace=True)
        )
        widths = [base * 2**i for i in range(stages)]
        made = [
            _Block(widths[max(i - (j == 0), 0)], out, 2 if i and j == 0 else 1)
            for i, out in enumerate(widths)
            for j in range(blocks)
        ]
        self.blocks = nn.Sequential(*made)
        self.width = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Mean over the remaining pixels."""
        return self.blocks(self.stem(x)).mean((2, 3))


class _Block(nn.Module):
    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        nn.init.zeros_(self.body[-1].weight)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and width == out
            else nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity(),
                nn.Conv2d(width, out, 1, bias=False),
                nn.BatchNorm2d(out),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)
