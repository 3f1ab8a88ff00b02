"""DGCNN: convolutions over each point's neighbours, which are found anew among the features of each layer.

Axis letters: B rows, C channels, P points, K neighbours, H features of a point.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features

_SLOPE = 0.2  # of the rectifier below 0, as in the paper


class DGCNN(Encoder):
    """Edge convolutions over the nearest points, in space first and then among features; pooled by maximum and mean.

    Take it where the shape of small neighbourhoods counts, with a GPU or few points: distances of all points to all
    are computed per layer, so the cost grows with the square of the points. The norm follows the maximum, which takes
    a K-th of the memory; in the paper it precedes it.

    Args:
        channels: Numbers per point; from the data.
        neighbours: Nearest points of each, itself among them. 20 as in the paper.
        base: Features of a point after the first edge convolution; the second has as many, each later one twice
            those of the one before. 64 in the paper.
        depth: Edge convolutions. 4 in the paper.
        out: Features of a point before pooling; the width is twice that. 1,024 in the paper.

    Raises:
        UserError: a setting below 1, or no layer.

    Equation:
        h'_p = relu(norm(max_q in kNN(p) W [h_p, h_q - h_p])).

    Reference:
        Wang et al. 2019, arXiv:1801.07829.

    Example:
        >>> DGCNN(channels=3, base=8, out=16)(torch.randn(2, 3, 40)).pooled.shape
        torch.Size([2, 32])
    """

    def __init__(
        self,
        *,
        channels: int = 3,
        neighbours: Annotated[int, Range(1, 1000)] = 20,
        base: int = 64,
        depth: int = 3,
        out: int = 256,
    ) -> None:
        super().__init__()
        if min(base, depth, out) < 1:
            raise UserError(f"dgcnn: base={base}, depth={depth}, out={out}; expected 1 or more of each.")
        widths = [base * 2 ** max(0, n - 1) for n in range(depth)]
        self.neighbours = neighbours
        before = [channels, *widths[:-1]]
        # W [h_p, h_q - h_p] = (W_1 - W_2) h_p + W_2 h_q: two small products instead of one per edge.
        self.own = nn.ModuleList(nn.Conv1d(a, b, 1, bias=False) for a, b in zip(before, widths, strict=True))
        self.other = nn.ModuleList(nn.Conv1d(a, b, 1, bias=False) for a, b in zip(before, widths, strict=True))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths)
        self.last, self.last_norm = nn.Conv1d(sum(widths), out, 1, bias=False), nn.BatchNorm1d(out)
        self.width, self.dense_width = 2 * out, sum(widths) + out

    def forward(self, x: Tensor) -> Features:
        """Features of clouds, dense ones of their points.

        Args:
            x: (B, C, P), coordinates first.

        Returns:
            Pooled (B, width): maximum and mean over the points. Dense (B, P, dense_width): the features of each point
            in all layers, beside the maximum over its cloud.
        """
        h, found = x, []
        for own, other, norm in zip(self.own, self.other, self.norms, strict=True):
            near = nearest(h if found else h[:, :3], self.neighbours)
            h = F.leaky_relu(norm(own(h) + _highest(other(h), near)), _SLOPE)
            found.append(h)
        points = torch.cat(found, 1)
        h = F.leaky_relu(self.last_norm(self.last(points)), _SLOPE)
        highest = h.amax(2)
        pooled = torch.cat([highest, h.mean(2)], 1)
        if not self.gives_dense:
            return Features(pooled)
        return Features(pooled, torch.cat([points.mT, highest[:, None].expand(-1, h.shape[2], -1)], 2))


@torch.no_grad()
def nearest(x: Tensor, number: int) -> Tensor:
    """The nearest points of each, itself among them: (B, P, K) int64, K at most P.

    Args:
        x: (B, H, P).
        number: K.
    """
    x = x.float().mT
    return torch.cdist(x, x).topk(min(number, x.shape[1]), largest=False).indices


def _highest(h: Tensor, near: Tensor) -> Tensor:
    """Maximum of features (B, H, P) over the neighbours of each point."""
    at = near.flatten(1)[:, None].expand(-1, h.shape[1], -1)
    return h.gather(2, at).unflatten(2, near.shape[1:]).amax(3)
