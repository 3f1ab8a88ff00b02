"""Retries with smaller tiles when memory runs out; refuses a second derivative."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

from kontrast.core.errors import UserError

Found = TypeVar("Found")
Part = TypeVar("Part")


def fitting(
    run: Callable[[Iterator[Part]], Found], walk: Callable[[int], Iterator[Part]], a: Tensor, c: Tensor, tile: int
) -> Found:
    """Runs a walk over tiles, with ever smaller tiles when memory runs out.

    Each retry starts again with a quarter of the size, down to single rows.

    Args:
        run: What to compute from the tiles.
        walk: Iterator over tiles of at most the given number of entries.
        a: (L, N, D) anchors.
        c: (L, M, D) candidates.
        tile: Numbers in a tile at first.

    Returns:
        The result of `run`.

    Raises:
        UserError: a tile of a single row does not fit into memory.
    """
    M = c.shape[1]
    tile = min(tile, a.shape[0] * a.shape[1] * M)
    while True:
        try:
            return run(walk(tile))
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            if tile <= M:
                raise UserError(
                    f"out of memory: a loss of {a.shape[1]:,} anchors and {M:,} candidates of width {a.shape[2]:,} did "
                    f"not fit in tiles of a single row, {M * a.element_size() / 1e6:,.1f} MB each. Take a smaller "
                    "batch, fewer candidates or narrower embeddings, or free memory elsewhere."
                ) from error
        tile = max(tile // 4, M)  # outside of `except`, so that the error's frames hold no memory


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether an allocator failed: devices have an exception class, the CPU only a message."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError) or any(w in str(error) for w in words)


class Once(torch.autograd.Function):
    """Passes a gradient through and raises if it is differentiated again.

    Without this, gradients would pass for constants, and a gradient penalty would silently do nothing.
    """

    @staticmethod
    def forward(ctx: Any, tie: Tensor, slope: Tensor) -> Tensor:
        """Copy of the gradient; `tie` depends on all that the gradient depends on."""
        return slope.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Raises UserError, since the second derivative does not exist here."""
        raise UserError(
            "a second derivative of a contrastive loss was asked for (by a gradient penalty?); the engine has only the "
            "first, since it keeps no matrix of similarities. Take it of the other terms only, or make the matrix "
            "yourself, as loss.per_anchor(similarity, positives, candidates) can be differentiated twice."
        )
