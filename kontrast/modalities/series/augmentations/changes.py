"""Changes of time series for whole batches: window, speed, amplitude, level, noise and gaps.

Each row draws from its own key. Axis letters: B rows, C channels, T time; NaN marks gaps and what is after the end.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core import random_streams

_FEWEST = 4  # instants that a window has, if the row has them


@dataclass(frozen=True)
class Changes:
    """Ranges of the changes of a series; 0 for none.

    Attributes:
        crop: Smallest share of time that a view keeps; 1 for all.
        stretch: Largest change of speed.
        warp: Largest local change of speed.
        scale: Largest change of amplitude.
        shift: Largest shift of the level, in standard deviations of the row.
        noise: Standard deviation of the noise, in standard deviations of the row.
        gaps: Largest hidden share of time.
        largest_crop: Largest share of time that a view keeps.
    """

    crop: float = 1.0
    stretch: float = 0.0
    warp: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    noise: float = 0.0
    gaps: float = 0.0
    largest_crop: float = 1.0

    def longest(self, steps: int) -> int:
        """Instants of the longest view of a series of `steps` instants."""
        return min(steps, max(_FEWEST, math.ceil(self.largest_crop * steps * (1 + self.stretch))))


def augment(batch: Tensor, key_B: Tensor, changes: Changes) -> Tensor:
    """Another window, speed, amplitude, level, noise and gaps per row.

    Args:
        batch: (B, C, T) float, NaN where nothing is known.
        key_B: (B,) int64, a random stream per row.
        changes: Ranges of the changes.

    Returns:
        (B, C, T); shorter if `largest_crop` is below 1.

    Example:
        >>> x = torch.arange(20.0).view(1, 1, 20)
        >>> augment(x, torch.tensor([1]), Changes(crop=0.2, largest_crop=0.4)).shape
        torch.Size([1, 1, 8])
    """
    keys = [random_streams.fork(key_B, branch) for branch in range(4)]
    mean, deviation = moments(batch)
    seen = _window(batch, keys[0], changes)
    draw = random_streams.uniform(keys[1], 2 * batch.shape[1]).view(len(batch), 2, batch.shape[1], 1) * 2 - 1
    if changes.scale:
        seen = mean + (seen - mean) * torch.exp(math.log1p(changes.scale) * draw[:, 0])
    if changes.shift:
        seen = seen + changes.shift * deviation * draw[:, 1]
    if changes.noise:
        seen = seen + changes.noise * deviation * gauss(keys[2], *seen.shape[1:])
    if changes.gaps:
        # Short windows hide a share of their own; a view as long as the row hides one of the row, as recorded runs do.
        seen = seen.masked_fill(_hidden(seen if changes.largest_crop < 1 else batch, keys[3], changes.gaps), math.nan)
    return seen


def past(batch: Tensor, share: float) -> Tensor:
    """First part of each row, NaN after it: (B, C, T'), T' the longest.

    Args:
        batch: (B, C, T) float.
        share: Share of the known time of a row, rounded up to whole instants.
    """
    end_B = (ends(batch.isfinite().any(1)) * share).ceil().clamp_min(1)
    longest = max(1, math.ceil(batch.shape[-1] * share))
    later = torch.arange(longest, device=batch.device) >= end_B[:, None]
    return batch[..., :longest].masked_fill(later[:, None], math.nan)


def _window(batch: Tensor, key_B: Tensor, changes: Changes) -> Tensor:
    """Part of the time at another, uneven speed, interpolated linearly; NaN after its end."""
    if changes.crop == 1 and not changes.stretch and not changes.warp:
        return batch
    T = batch.shape[-1]
    end_B = ends(batch.isfinite().any(1))
    u = random_streams.uniform(key_B, 6).unbind(1)
    share_B = changes.crop + (changes.largest_crop - changes.crop) * u[0]
    kept = torch.maximum(end_B * share_B, end_B.clamp_max(_FEWEST)).floor()
    start = ((end_B - kept + 1) * u[1]).floor()
    steps = (kept * torch.exp(math.log1p(changes.stretch) * (2 * u[2] - 1))).round().clamp_min(1)
    t = torch.arange(changes.longest(T), device=batch.device)
    at = t / (steps - 1).clamp_min(1)[:, None]  # 0: window's start, 1: end
    # Monotone, ends fixed: the slope is 1 + warp * mean of three cosines of amplitude under 1.
    for wave in (1, 2, 3):
        swing = (2 * u[2 + wave] - 1)[:, None] * changes.warp / (3 * math.pi * wave)
        at = at + swing * torch.sin(math.pi * wave * at)
    place = (start[:, None] + at * (kept - 1)[:, None]).clamp(max=T - 1)
    left = place.floor().long()
    share = (place - left)[:, None]
    taken = left[:, None].expand(-1, batch.shape[1], -1)
    below, above = batch.gather(2, taken), batch.gather(2, (taken + 1).clamp_max(T - 1))
    mixed = torch.where(share > 0, below + share * (above - below), below)
    over = t >= torch.minimum(steps, end_B)[:, None]
    return mixed.masked_fill(over[:, None], math.nan)


def _hidden(batch: Tensor, key_B: Tensor, gaps: float) -> Tensor:
    """(B, 1, T) bool: three spans of time, together at most the share `gaps` of the row."""
    end_B = ends(batch.isfinite().any(1))
    u = random_streams.uniform(key_B, 6).view(-1, 3, 2, 1)
    width = u[:, :, 0] * end_B[:, None, None] * gaps / 3
    start = u[:, :, 1] * (end_B[:, None, None] - width)
    t = torch.arange(batch.shape[-1], device=batch.device)
    return ((t >= start) & (t < start + width.floor())).any(1, keepdim=True)


def moments(batch: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the known values per row and channel, (B, C, 1); 0 if none is known."""
    known = batch.isfinite()
    count = known.sum(-1, keepdim=True).clamp_min(1)
    mean = batch.nan_to_num(0.0).sum(-1, keepdim=True) / count
    square = ((batch - mean) ** 2).nan_to_num(0.0).sum(-1, keepdim=True) / count
    return mean, square.sqrt()


def ends(known_BT: Tensor) -> Tensor:
    """(B,) float: one after the last known instant, at least 1."""
    t = torch.arange(1, known_BT.shape[-1] + 1, device=known_BT.device)
    return (known_BT * t).amax(-1).clamp_min(1).float()


def gauss(key_B: Tensor, channels: int, steps: int) -> Tensor:
    """(B, C, T) standard normal; padding changes none of it, since early steps ignore how many follow."""
    streams = random_streams.mix(
        key_B[:, None] ^ random_streams.mix(torch.arange(1, channels + 1, device=key_B.device))
    )
    u = random_streams.uniform(streams.flatten(), 2 * steps).view(len(key_B), channels, steps, 2)
    return (-2 * (1 - u[..., 0]).log()).sqrt() * (2 * torch.pi * u[..., 1]).cos()
