"""What every walk over tiles needs: smaller ones when memory ends, and a word to whoever wants a second derivative."""

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
    """What `run` makes of the tiles of a (L, N, D) and c (L, M, D); out of memory, it begins anew with tiles of a
    quarter, down to single rows."""
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
        tile = max(tile // 4, M)  # here the error is gone, and with it what its frames held


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether an allocator gave up: that of a device has a class of its own, the CPU's only its words."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError) or any(w in str(error) for w in words)


class Once(torch.autograd.Function):
    """A slope as it is, where a graph of the gradient is made; who differentiates it is told that it cannot be.

    Left out, slopes would pass for constants, and a gradient penalty would silently do nothing.
    """

    @staticmethod
    def forward(ctx: Any, tie: Tensor, slope: Tensor) -> Tensor:
        """tie: one number that hangs on all that the slope depends on."""
        return slope.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Refuses."""
        raise UserError(
            "a second derivative of a contrastive loss was asked for (by a gradient penalty?); the engine has only the "
            "first, for it keeps no matrix of similarities. Take it of the other terms alone, or make the matrix "
            "yourself: loss.per_anchor(similarity, attract, among) of a Contrast loss can be differentiated twice."
        )
