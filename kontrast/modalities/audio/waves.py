"""Waveforms in batches: the part of each clip that a view shows.

Axis letters: B rows, C channels, T samples.
"""

import torch
from torch import Tensor

ABSENT = -32768  # after the end of a clip, in a batch of 16-bit samples
LOUDEST = 32767


def lengths(batch: Tensor) -> Tensor:
    """Samples of each clip: (B,) int64.

    Args:
        batch: (B, C, T) int16, ABSENT after the end.
    """
    return (batch[:, 0] != ABSENT).sum(1)


def cut(batch: Tensor, start_B: Tensor, length_B: Tensor, longest: int) -> Tensor:
    """Part of each clip as a waveform in -1..1.

    Args:
        batch: (B, C, T) int16, ABSENT after the end.
        start_B: (B,) int64, first sample.
        length_B: (B,) int64, number of samples, at most `longest`.
        longest: Samples of the result.

    Returns:
        (B, C, longest) float32, NaN after the end.
    """
    t = torch.arange(longest, device=batch.device)
    at = (start_B[:, None] + t).clamp(0, batch.shape[-1] - 1)[:, None].expand(-1, batch.shape[1], -1)
    samples = batch.gather(2, at).float() / LOUDEST
    over = (t >= length_B[:, None])[:, None] | (samples < -1)
    return samples.masked_fill(over, torch.nan)


def known(x: Tensor) -> tuple[Tensor, Tensor]:
    """Waveform with zeros where nothing is known, and where that is.

    Args:
        x: (..., T) float, NaN after the end.
    """
    absent = x.isnan()
    return x.masked_fill(absent, 0.0), absent
