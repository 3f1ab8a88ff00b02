"""Two crops of each series that overlap, as TS2Vec cuts them.

Axis letters: B rows, C channels, T instants of the batch, W instants of a crop, P instants of the overlap.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.random_streams import share

DRAWS = 4
"""Numbers that a step draws for its crops."""


class Crops(NamedTuple):
    """Where two crops lie in series of some length: whole numbers, or (B,) tensors of them.

    Attributes:
        overlap: Instants that both crops have, the last ones of the left and the first ones of the right crop.
        left: Width of the left crop.
        right: Width of the right crop.
        room: Instants by which both crops together are shorter than the series.
        lead: Instants between the beginnings of the two crops.
    """

    overlap: Any
    left: Any
    right: Any
    room: Any
    lead: Any


def crops_of(draws: Sequence[int], length: Any) -> Crops:
    """Crops of series of a length, by the draws of a step.

    For one length they are those of the authors' code: the overlap has 2 to `length` instants, equally likely, then lie
    its begin, and how far either crop goes on. A longer series has no narrower crop or overlap, so the longest of a
    batch gives the shape of all.

    Args:
        draws: Four whole numbers below 2^24.
        length: At least 1; a whole number or a tensor of them.
    """
    overlap = length - share(draws[0], length - 1)
    begin = share(draws[1], length - overlap + 1)
    lead = begin - share(draws[2], begin + 1)  # how far the left crop begins before the overlap
    tail = share(draws[3], length - overlap - begin + 1)
    return Crops(overlap, lead + overlap, overlap + tail, length - lead - overlap - tail, lead)


def cut(x: Tensor, start_B: Tensor, width_B: Tensor, W: int) -> Tensor:
    """Crops of series (B, C, T) -> (B, C, W), NaN after the end of each."""
    at = torch.arange(W, device=x.device)
    place = (start_B[:, None] + at).clamp_max(x.shape[-1] - 1)
    inside = x.gather(2, place[:, None].expand(-1, x.shape[1], -1))
    return inside.masked_fill((at >= width_B[:, None])[:, None], math.nan)


def hidden(x: Tensor, width_B: Tensor, stream_B: Tensor, part: float) -> Tensor:
    """Crops with some instants missing in all channels; the last one stays, which marks the end of a row.

    Args:
        x: (B, C, W) crops.
        width_B: (B,) their widths.
        stream_B: (B,) a random stream per row.
        part: Probability that an instant is hidden.
    """
    if not part:
        return x
    hide = random_streams.uniform(stream_B, x.shape[-1]) < part
    last = torch.arange(x.shape[-1], device=x.device) == width_B[:, None] - 1
    return x.masked_fill((hide & ~last)[:, None], math.nan)


def ends(x: Tensor) -> Tensor:
    """One after the last known instant of series (B, C, T), at least 1: (B,) int64."""
    at = torch.arange(1, x.shape[-1] + 1, device=x.device)
    return (x.isfinite().any(1) * at).amax(-1).clamp_min(1)
