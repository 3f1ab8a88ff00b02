"""Masked cells of images.

Axis letters: B rows, P positions, C channels, S pixels per side, E dense width.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kontrast.core import random_streams
from kontrast.data.masking import Masked, Masking

CELLS = 4
"""Cells per side of an image."""


def hide_cells(x: Tensor, stream_B: Tensor, part: float, facts: Mapping[str, Any]) -> Masked:
    """Hides cells of images (B, C, S, S) as zeros, the mean colour; the same number of each image."""
    B, C, side = len(x), x.shape[1], x.shape[-1] // CELLS
    number = min(CELLS**2 - 1, max(1, round(part * CELLS**2)))
    hidden = random_streams.uniform(stream_B, CELLS**2).argsort(1).argsort(1) < number
    whole = x[..., : side * CELLS, : side * CELLS]
    cells = whole.unflatten(3, (CELLS, side)).unflatten(2, (CELLS, side)).permute(0, 2, 4, 1, 3, 5)
    over = hidden.view(B, 1, CELLS, CELLS).repeat_interleave(side, 2).repeat_interleave(side, 3)
    rest = (0, x.shape[-1] - side * CELLS)
    return Masked(x.masked_fill(F.pad(over, rest * 2), 0.0), hidden, cells.reshape(B, CELLS**2, C * side**2))


def over_cells(dense: Tensor, positions: int) -> Tensor:
    """Means of a square map over cells, (B, P', E) -> (B, P, E), both row by row."""
    side, cells = math.isqrt(dense.shape[1]), math.isqrt(positions)
    if side == cells:
        return dense
    eye = torch.eye(side, device=dense.device, dtype=dense.dtype)
    mean = F.adaptive_avg_pool1d(eye, cells)  # by matrices, since no GPU pools deterministically
    return torch.einsum("ip,jq,bije->bpqe", mean, mean, dense.unflatten(1, (side, side))).flatten(1, 2)


def _pixels(facts: Mapping[str, Any]) -> int:
    return facts["channels"] * (facts["size"] // CELLS) ** 2


MASKING = Masking(0.5, hide_cells, over_cells, _pixels, "weak")
