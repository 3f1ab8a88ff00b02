"""PointNet: each point through the same small network, then the maximum over all points.

Axis letters: B rows, C channels, P points, H features of a point.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features


class PointNet(Encoder):
    """Shared layers over single points, pooled by maximum and mean; the order of the points does not matter.

    Take it for clouds of some hundred points on a CPU. Where the shape of small neighbourhoods counts, `dgcnn` sees
    more at several times the cost. The transforms of input and features of the paper are left out: its own results
    change by about a point without them.

    Args:
        channels: Numbers per point; from the data.
        base: Features of the first layers; the last has twice `out`. 64 as in the paper.
        out: Features of a point before pooling; the width is twice that. 1,024 in the paper, pooled by maximum alone.

    Raises:
        UserError: a setting below 1.

    Reference:
        Qi et al. 2017, arXiv:1612.00593.

    Example:
        >>> PointNet(channels=3, out=64)(torch.randn(2, 3, 100)).pooled.shape
        torch.Size([2, 128])
    """

    def __init__(self, *, channels: int = 3, base: int = 64, out: int = 256) -> None:
        super().__init__()
        if min(base, out) < 1:
            raise UserError(f"pointnet: base={base}, out={out}; expected 1 or more of each.")
        widths = (channels, base, base, 2 * base, out)
        self.layers = nn.ModuleList(nn.Conv1d(a, b, 1, bias=False) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])
        self.width, self.dense_width = 2 * out, 2 * out

    def forward(self, x: Tensor) -> Features:
        """Features of clouds, dense ones of their points.

        Args:
            x: (B, C, P), coordinates first.

        Returns:
            Pooled (B, width): maximum and mean over the points. Dense (B, P, dense_width): the features of each point
            beside the maximum over its cloud.
        """
        h = x
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = F.relu(norm(layer(h)))
        highest = h.amax(2)
        pooled = torch.cat([highest, h.mean(2)], 1)
        if not self.gives_dense:
            return Features(pooled)
        return Features(pooled, torch.cat([h.mT, highest[:, None].expand(-1, h.shape[2], -1)], 2))
