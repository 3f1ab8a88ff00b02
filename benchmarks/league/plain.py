"""Cells as plain numbers, and batches of them, for contestants that are not kontrast."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.league.task import Cells

STEPS, SIDE = 256, 32


def numbers(cells: Cells, kind: str) -> np.ndarray:
    """(n, D): pixels at most SIDE to a side, or z-normalised series on one grid."""
    if kind == "image":
        return np.stack([_small(cell).ravel() for cell in cells]).astype(np.float32) / 255
    longest = min(STEPS, max(map(len, cells)))
    return np.stack([_grid(cell, longest).ravel() for cell in cells]).astype(np.float32)


def padded(cells: Cells, longest: int) -> np.ndarray:
    """(n, T, C) float32: longer series on a grid of `longest` steps, shorter ones followed by NaN."""
    rows = [c if len(c) <= longest else _resampled(c, longest) for c in cells]
    out = np.full((len(rows), max(map(len, rows)), rows[0].shape[1]), np.nan, np.float32)
    for place, row in zip(out, rows, strict=True):
        place[: len(row)] = row
    return out


def batches(rows: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Places of the rows of a batch, for ever: shuffled passes without the last, smaller batch."""
    draw, size = np.random.default_rng(seed), min(size, rows)
    while True:
        order = draw.permutation(rows)
        for start in range(0, rows - size + 1, size):
            yield order[start : start + size]


@torch.no_grad()
def in_parts(embed: Callable[[Tensor], Tensor], cells: Tensor, size: int = 256) -> np.ndarray:
    """The features of many rows, some at a time."""
    return torch.cat([embed(part).float() for part in cells.split(size)]).numpy()


def _small(picture: np.ndarray) -> np.ndarray:
    if max(picture.shape[:2]) <= SIDE:
        return picture
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BOX))


def _grid(series: np.ndarray, steps: int) -> np.ndarray:
    known = np.isfinite(series).any(1)
    row = _resampled(series[: np.flatnonzero(known)[-1] + 1], steps)
    return (row - row.mean(0)) / np.maximum(row.std(0), 1e-8)


def _resampled(series: np.ndarray, steps: int) -> np.ndarray:
    """Straight lines between the samples that are there."""
    at, t = np.linspace(0, len(series) - 1, steps), np.arange(len(series))
    lines = []
    for channel in series.T:
        known = np.isfinite(channel)
        lines.append(np.interp(at, t[known], channel[known]) if known.any() else np.zeros(steps))
    return np.stack(lines, 1).astype(np.float32)
