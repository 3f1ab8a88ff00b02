"""Losses of small batches as plain matrices, faster than the tiled engine.

The engine (`contrast`) takes a fixed 2 to 3 ms to name rows and to list the positive pairs; at 128 pairs that is more
than the loss itself. These functions give its values and gradients up to rounding, from few operations, on one process.
Where an anchor's positive holds nearly all of the mass they are as exact: log(1 + others / own) instead of a
difference.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.normalize import unit, wide
from kontrast.core.ranks import Ranks
from kontrast.losses.engine.reduction import averaging
from kontrast.losses.tile_weights import CALM

# Entries of the largest matrix treated here: SMALL is 4 MB in float32. From FEW on, `symmetric.py` is as fast for two
# directions, and computes only half of a symmetric matrix (measured: docs/benchmarks.md).
SMALL, FEW = 1 << 20, 1 << 17


def small(rows: int, columns: int, most: int = SMALL) -> bool:
    """Whether a single-process mean over more than one row fits into `most` numbers."""
    return min(rows, columns) > 1 and rows * columns <= most and Ranks().world == 1 and averaging()


def clip(z1: Tensor, z2: Tensor, root: float | Tensor) -> Tensor:
    """CLIP, the mean of both directions; `root` is the square root of the temperature."""
    with torch.autocast(z1.device.type, enabled=False):
        S = (unit(wide(z1)) / root) @ (unit(wide(z2)) / root).mT
        own, others = S.diagonal(), _off(S)
        return (_more(others.logsumexp(1) - own) + _more(others.logsumexp(0) - own)).mean() / 2


def ntxent(z1: Tensor, z2: Tensor, root: float | Tensor) -> Tensor:
    """NT-Xent of two views, from three matrices; `root` is the square root of the temperature."""
    with torch.autocast(z1.device.type, enabled=False):
        u, v = unit(wide(z1)) / root, unit(wide(z2)) / root
        S = u @ v.mT
        own, across = S.diagonal(), _off(S)
        one = torch.logaddexp(across.logsumexp(1), _off(u @ u.mT).logsumexp(1))
        two = torch.logaddexp(across.logsumexp(0), _off(v @ v.mT).logsumexp(1))
        return (_more(one - own) + _more(two - own)).mean() / 2


def siglip(z1: Tensor, z2: Tensor, scale: float | Tensor, bias: float | Tensor) -> Tensor:
    """SigLIP: the sum over pairs divided by the number of rows."""
    with torch.autocast(z1.device.type, enabled=False):
        x = (unit(wide(z1)) * scale) @ unit(wide(z2)).mT + bias
        sign = torch.ones_like(x).fill_diagonal_(-1)
        return F.softplus(x * sign).sum() / len(x)


def supcon(z: Tensor, labels: Tensor, temperature: float | Tensor) -> Tensor | None:
    """SupCon with the sum outside the logarithm; labels of -1 are unknown.

    Returns:
        The mean; None if no row has a positive, or if the temperature is too sharp for exponentials without subtracting
        a maximum.
    """
    if 2 / float(torch.as_tensor(temperature).detach()) > 2 * CALM:
        return None
    with torch.autocast(z.device.type, enabled=False):
        u = unit(wide(z))
        S = u @ u.mT / temperature
        same = ((labels[:, None] == labels) & (labels[:, None] != -1)).fill_diagonal_(False)
        attracts = same.to(S.dtype)
        counts = attracts.sum(1)
        anchors = counts > 0
        number = int(anchors.sum())
        if not number:
            return None
        E = (S - 1 / temperature).exp()  # each at most 1
        pulled, pushed = E.mul(attracts).sum(1), E.mul((1 - attracts).fill_diagonal_(0)).sum(1)
        pulled, pushed = torch.where(anchors, pulled, 1), pushed.clamp_min(torch.finfo(E.dtype).tiny)
        # log(1 + pushed / pulled), plus the gap between the log of the positives' sum and their mean.
        short = pulled.log() + 1 / temperature - torch.linalg.vecdot(S, attracts) / counts.clamp_min(1)
        return torch.where(anchors, _more(pushed.log() - pulled.log()) + short, 0).sum() / number


def off_squares(C: Tensor) -> tuple[Tensor, Tensor]:
    """Diagonal of a square matrix, and the sum of squares off the diagonal."""
    eye = torch.eye(len(C), dtype=torch.bool, device=C.device)
    return C.diagonal(), C.masked_fill(eye, 0).square().sum()


def _off(S: Tensor) -> Tensor:
    """The matrix with -inf on its diagonal."""
    return S.masked_fill(torch.eye(len(S), dtype=torch.bool, device=S.device), -torch.inf)


def _more(x: Tensor) -> Tensor:
    """log(1 + e^x), exact in float64 too; torch's own is 2e-9 too small at 20."""
    return F.softplus(x, threshold=40)
