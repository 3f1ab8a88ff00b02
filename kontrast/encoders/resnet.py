"""A small fast ResNet for images, at its best from 16 to 64 pixels."""

import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.encoders.encoder import Encoder


class Resnet(Encoder):
    """(B, C, S, S) -> (B, width): residual blocks in four stages, then the mean of each quarter of what remains.

    The stem brings images to 12..24 pixels, so 64 px cost what 32 px do; each stage after the first halves that.
    `base`: channels of the first stage; the others have 2, 4 and 4 times as many. `blocks`: in a stage.
    `grid`: 2 keeps the four quarters apart, which tells where things are; 1 is the usual mean over everything.
    `channels` and `size` are the images'.
    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def __init__(self, *, channels: int, size: int = 32, base: int = 32, blocks: int = 1, grid: int = 2) -> None:
        super().__init__()
        if min(base, blocks, grid) < 1:
            raise UserError(f"resnet: base={base}, blocks={blocks}, grid={grid}: expected 1 or more of each.")
        stride = 1 if size < 24 else 2 if size < 48 else 4
        self.stem = nn.Sequential(
            nn.Conv2d(channels, base, stride + 2, stride, 1, bias=False), nn.BatchNorm2d(base), nn.ReLU(inplace=True)
        )
        stages: list[nn.Module] = []
        width = base
        for i, out in enumerate((base, 2 * base, 4 * base, 4 * base)):
            for j in range(blocks):
                stages.append(_Block(width, out, 2 if i and not j else 1))
                width = out
        self.stages = nn.Sequential(*stages)
        self.grid = grid
        self.width = width * grid**2

    def forward(self, x: Tensor) -> Tensor:
        """The quarters' means, side by side."""
        return F.adaptive_avg_pool2d(self.stages(self.stem(x)), self.grid).flatten(1)


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, which takes the mean of what a stride leaves out (He et al., 2019)."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(out)
        nn.init.zeros_(last.weight)  # every block begins as its shortcut (Goyal et al., 2017)
        self.body = nn.Sequential(
            nn.Conv2d(width, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            last,
        )
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.AvgPool2d(stride, ceil_mode=True))
        if stride > 1 or width != out:
            self.shortcut.extend([nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)])

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)
