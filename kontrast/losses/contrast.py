"""The engine: the exact value and gradients of any Contrast loss, tile by tile, in memory O(N + M)."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from kontrast.core.rows import Mean, Rows
from kontrast.losses.kernel import Kernel
from kontrast.losses.loss import Contrast
from kontrast.losses.relation import Distinct, Relation, named
from kontrast.losses.weights import Tile, tiles

# Numbers in a tile: 2^21 floats are 8 MB, near a core's share of the cache; larger tiles were slower on CPU.
TILE = 1 << 21


def contrast(
    anchors: Rows,
    candidates: Rows,
    relation: Relation,
    *,
    loss: Contrast,
    kernel: Kernel,
    weight: Tensor | None = None,
    tile: int = TILE,
) -> Mean:
    """The mean loss of the anchors against the candidates, as a sum and its count.

    Rows of a stack (L, N, D) meet only candidates of their own problem. Anchors without a positive are dropped and not
    counted. `weight` (N,) weighs anchors. Logits are float32 or better, whatever the autocast around it; `tile` bounds
    the numbers held at once and changes no value beyond rounding.
    """
    with torch.autocast(anchors.z.device.type, enabled=False):
        a, c, walk = _problem(anchors, candidates, relation, kernel, tile)
        each = a.new_ones(1, 1) if weight is None else weight.to(a.dtype)
        total, count, negatives = _Tiled.apply(  # pyright: ignore[reportGeneralTypeIssues]
            a, c, loss, walk, each.expand(a.shape[:2]), *loss.parameters()
        )
    return Mean(total, count, negatives=negatives)


def per_row(
    anchors: Rows, candidates: Rows, relation: Relation, *, loss: Contrast, kernel: Kernel, tile: int = TILE
) -> Tensor:
    """(N,), of a stack (L, N): the loss of every anchor by itself, without gradient; NaN where it does not count.

    For what needs the losses of rows before their mean: estimates that live between steps, scores of single rows.
    """
    with torch.no_grad(), torch.autocast(anchors.z.device.type, enabled=False):
        a, c, walk = _problem(anchors, candidates, relation, kernel, tile)
        found = a.new_full(a.shape[:2], torch.nan)
        for t in walk:
            one = loss.per_anchor(a[t.lead, t.rows] @ c[t.lead].mT, t.attract, t.among)
            found[t.lead, t.rows] = torch.where(loss.counted(t.attract, t.among) > 0, one, torch.nan)
    return found if anchors.z.ndim == 3 else found[0]


def _problem(
    anchors: Rows, candidates: Rows, relation: Relation, kernel: Kernel, tile: int
) -> tuple[Tensor, Tensor, Iterator[Tile]]:
    """Both sides as the kernel wants them, (L, N, E) and (L, M, E), and the tiles of their weights."""
    a, c = kernel(_wide(anchors.z), _wide(candidates.z))
    left, right = named(anchors), named(candidates)
    if a.ndim == 2:
        a, c = a[None], c[None]
        left, right = {k: v[None] for k, v in left.items()}, {k: v[None] for k, v in right.items()}
    return a, c, tiles(relation & Distinct(), left, right, (*a.shape[:2], c.shape[1]), a.dtype, tile)


def _wide(z: Tensor) -> Tensor:
    return z if z.dtype == torch.float64 else z.float()


class _Tiled(torch.autograd.Function):
    """Gradients are taken tile by tile in the forward pass, so no N x M tensor outlives its tile."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, c: Tensor, loss: Contrast, walk: Iterator[Tile], weight: Tensor, *learned: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        a, c = a.detach(), c.detach()
        d_a, d_c, d_learned = torch.zeros_like(a), torch.zeros_like(c), [torch.zeros_like(p) for p in learned]
        total, count, negatives = (a.new_zeros((), dtype=torch.float64) for _ in range(3))
        for t in walk:
            counts = loss.counted(t.attract, t.among).to(a.dtype) * weight[t.lead, t.rows]
            negatives += ((t.among.sum() - t.attract.count()) * (counts > 0)).sum()
            a_t, c_t = a[t.lead, t.rows], c[t.lead]
            one = len(c) == 1  # a plain matrix product into place is faster than a batched one
            s = (a_t[0] @ c_t[0].mT)[None] if one else a_t @ c_t.mT
            each, d_s, scale, *d_rest = loss.slope(s, t.attract, t.among, counts)
            total += torch.where(counts > 0, each, 0).mul(counts).sum()
            count += counts.sum()
            if one:
                torch.mm(d_s[0], c_t[0], out=d_a[0, t.rows]).mul_(scale[0, :, None])
                d_c[0].addmm_(d_s[0].mT, a_t[0] * scale[0, :, None])
            else:
                d_a[t.lead, t.rows] = (d_s @ c_t).mul_(scale[..., None])
                d_c[t.lead].baddbmm_(d_s.mT, a_t * scale[..., None])
            for sum_, part in zip(d_learned, d_rest, strict=True):
                sum_ += part
        ctx.save_for_backward(d_a, d_c, *d_learned)
        ctx.mark_non_differentiable(count, negatives)
        return total.to(a.dtype), count, negatives

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        d_a, d_c, *d_learned = (g * grads[0] for g in ctx.saved_tensors)
        return d_a, d_c, None, None, None, *d_learned
