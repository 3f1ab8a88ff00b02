"""Exact value and gradients of contrastive losses, tile by tile, in memory O(N + M)."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm, Stack, exact
from kontrast.core.errors import UserError
from kontrast.core.normalize import longest, wide
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.oom_retry import Once, fitting
from kontrast.losses.engine.reduction import apart
from kontrast.losses.engine.symmetric import swept
from kontrast.losses.kernel import Kernel
from kontrast.losses.miner import picked, unwrapped
from kontrast.losses.relation import Distinct, Relation, named
from kontrast.losses.tile_weights import Tile, tiles, usual

Walk = Callable[[int], Iterator[Tile]]


def contrast(
    anchors: Embeddings | Stack,
    candidates: Embeddings | Stack,
    relation: Relation,
    *,
    loss: ContrastiveLoss,
    kernel: Kernel,
    weight: Tensor | None = None,
    tile: int | None = None,
    half: bool = False,
) -> LossTerm:
    """Mean loss of the anchors against the candidates, as a sum and its count.

    Anchors without a positive are neither summed nor counted. Logits are float32 or better, whatever the surrounding
    autocast. If anchors and candidates are the same object and the kernel treats both sides alike, a softmax loss
    computes half of the symmetric matrix (`symmetric.py`). Under torch.compile the call is a graph break.

    Args:
        anchors: N rows, (N, D), or a stack of L separate problems, (L, N, D).
        candidates: M rows, or a stack (L, M, D); rows of a stack meet only the candidates of their own problem.
        relation: Positives and candidates of each anchor.
        loss: Loss of one anchor, given its similarities.
        kernel: Similarity of two rows.
        weight: (N,) weight of each anchor in the mean; gets no gradient. None: 1 each.
        tile: Most numbers held at once; changes the value only by rounding. None: `tile_weights.usual`, which holds the
            whole matrix if it fits. Out of memory, the walk starts again with a quarter, down to single rows.
            `memory_forecast.forecast` predicts the memory.
        half: Multiply in bfloat16 and sum in float32, where the processor can. Takes .62 of the time for a relative
            gradient error of .002 (NT-Xent, 8,192 rows, temperature .1, a CPU with AMX; .015 at temperature .02).

    Returns:
        The total, its count, the number of negative pairs and the loss at equal similarities.

    Raises:
        UserError: single rows do not fit into memory, embeddings have 3 axes, or a second derivative is asked for,
            which the engine does not have.
    """
    run = torch.compiler.disable(_contrast) if torch.compiler.is_compiling() else _contrast
    rest = (loss, kernel, weight, tile, half)
    return run(anchors, candidates, relation, *rest)  # pyright: ignore[reportCallIssue]


def _contrast(
    anchors: Embeddings | Stack,
    candidates: Embeddings | Stack,
    relation: Relation,
    loss: ContrastiveLoss,
    kernel: Kernel,
    weight: Tensor | None,
    tile: int | None,
    half: bool,
) -> LossTerm:
    with torch.autocast(anchors.z.device.type, enabled=False), _halved(half):
        plain = loss.softmax and not half and not apart()
        if anchors is candidates and isinstance(anchors, Embeddings) and plain:
            found = swept(anchors, None, relation, kernel, weight, tile)
            if found is not None:
                return found[0]
        a, c, walk = _problem(anchors, candidates, relation, kernel, loss.precise)
        each = a.new_ones(1, 1) if weight is None else weight.to(a.dtype)
        learned = loss.learned()
        # One number that depends on all that the gradients depend on; only a second derivative uses it.
        tie = a[:, :1, :1].sum() + c[:, :1, :1].sum() + sum(p.sum() for p in learned)
        size, weights = tile or usual(len(candidates)), each.expand(a.shape[:2])
        if apart():
            total, count = _Apart.apply(a, c, loss, walk, size, *learned)  # pyright: ignore[reportGeneralTypeIssues]
            return LossTerm(*((x * weights).view(anchors.z.shape[:-1]) for x in (total, count)))
        total, count, negatives, chance = _Tiled.apply(  # pyright: ignore[reportGeneralTypeIssues]
            a, c, tie, loss, walk, size, weights, *learned
        )
    return LossTerm(total.to(wide(anchors.z).dtype), count, negatives=negatives, chance=chance)


def per_row(
    anchors: Embeddings | Stack,
    candidates: Embeddings | Stack,
    relation: Relation,
    *,
    loss: ContrastiveLoss,
    kernel: Kernel,
    tile: int | None = None,
) -> Tensor:
    """Loss of each anchor, without gradient; NaN if the anchor does not count.

    For quantities that need the losses of rows before their mean: running estimates between steps, scores of single
    rows. Arguments as in `contrast`.

    Returns:
        (N,), or (L, N) for a stack.
    """
    with torch.no_grad(), torch.autocast(anchors.z.device.type, enabled=False):
        a, c, walk = _problem(anchors, candidates, relation, kernel, loss.precise)

        def each(walked: Iterator[Tile]) -> Tensor:
            found = a.new_full(a.shape[:2], torch.nan)
            for t in walked:
                s = t.similarity(a[t.lead, t.rows], c[t.lead])
                weights = t.seen(s)
                counts = loss.counted(*weights) > 0
                found[t.lead, t.rows] = torch.where(counts, loss.per_anchor(s, *weights), torch.nan)
            return found

        found = fitting(each, walk, a, c, usual(len(candidates)) if tile is None else tile)
    return found if isinstance(anchors, Stack) else found[0]


def _problem(
    anchors: Embeddings | Stack, candidates: Embeddings | Stack, relation: Relation, kernel: Kernel, precise: bool
) -> tuple[Tensor, Tensor, Walk]:
    """Both sides in the kernel's form (L, N or M, E), with a walk over tiles."""
    for side in (anchors, candidates):
        if isinstance(side, Embeddings) and side.z.ndim != 2:
            raise UserError(
                f"the loss compares embeddings of shape {tuple(side.z.shape)}; expected (rows, width): take .flat() "
                "for positions that are rows of their own, .stacked(0) for a problem per sample, .stacked(1) for one "
                "per position."
            )
    form = exact if precise else wide
    a, c = kernel(form(anchors.z), form(candidates.z))
    left, right = named(anchors), named(candidates)
    if a.ndim == 2:
        a, c = a[None], c[None]
        left, right = {k: v[None] for k, v in left.items()}, {k: v[None] for k, v in right.items()}
    bound = float(longest(a) * longest(c)) if kernel.bilinear else math.inf  # Cauchy-Schwarz inequality
    bare, miners = unwrapped(relation)
    bare = partial(tiles, bare & Distinct(), left, right, (*a.shape[:2], c.shape[1]), a.dtype, bound=bound)
    if kernel.bilinear and not miners:
        return a, c, bare
    unit, width, held = float(kernel.unit()), anchors.z.shape[-1], kernel.held(a, c)

    def walk(budget: int) -> Iterator[Tile]:
        walked = bare(max(1, budget // held))
        walked = picked(walked, miners, left, right, unit, width) if miners else walked
        return walked if kernel.bilinear else (replace(tile, compare=kernel.compare) for tile in walked)

    return a, c, walk


@contextmanager
def _halved(half: bool) -> Iterator[None]:
    """Float32 matrix products in bfloat16 inside; PyTorch has only a process-wide setting."""
    before = torch.get_float32_matmul_precision()
    if half:
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class _Tiled(torch.autograd.Function):
    """Takes gradients in the forward pass, so no N x M tensor outlives its tile."""

    @staticmethod
    def forward(
        ctx: Any,
        a: Tensor,
        c: Tensor,
        tie: Tensor,
        loss: ContrastiveLoss,
        walk: Walk,
        tile: int,
        weight: Tensor,
        *learned: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a, c = a.detach(), c.detach()
        run = partial(_passed, a, c, loss, weight, learned, ctx.needs_input_grad)
        sums, slopes = fitting(run, walk, a, c, tile)
        ctx.save_for_backward(tie, *slopes)
        ctx.mark_non_differentiable(*sums[1:])
        return sums[0].to(a.dtype), sums[1], sums[2], sums[3]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        tie, *slopes = ctx.saved_tensors
        if torch.is_grad_enabled():
            slopes = [None if d is None else Once.apply(tie, d) for d in slopes]
        d_a, d_c, *d_learned = (None if d is None else d * grads[0] for d in slopes)
        return d_a, d_c, None, None, None, None, None, *d_learned


class _Apart(torch.autograd.Function):
    """Loss and count of each anchor, (L, N) each.

    The gradient is a second walk over the tiles, since the weight of each anchor is known only in the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, c: Tensor, loss: ContrastiveLoss, walk: Walk, tile: int, *learned: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(a, c)
        ctx.rest = loss, walk, tile, learned
        counts = a.new_zeros(a.shape[:2])

        def each(walked: Iterator[Tile]) -> Tensor:
            found = torch.zeros_like(counts)
            for t in walked:
                s = t.similarity(a[t.lead, t.rows], c[t.lead])
                weights = t.seen(s)
                n = loss.counted(*weights).to(a.dtype).expand(s.shape[:2])
                counts[t.lead, t.rows] = n
                found[t.lead, t.rows] = torch.where(n > 0, loss.per_anchor(s, *weights), 0) * n
            return found

        found = fitting(each, walk, a, c, tile)
        ctx.mark_non_differentiable(counts)
        return found, counts

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        a, c = ctx.saved_tensors
        loss, walk, tile, learned = ctx.rest
        sides = [(1, grads[0].clamp_min(0)), (-1, (-grads[0]).clamp_min(0))]  # weights of anchors are never negative
        found: list[Tensor | None] = []
        for sign, weight in sides if (grads[0] < 0).any() else sides[:1]:
            run = partial(_passed, a, c, loss, weight, learned, ctx.needs_input_grad)
            slopes = fitting(run, walk, a, c, tile)[1]
            parts = zip(found or [None] * len(slopes), slopes, strict=True)
            found = [d if d is None else sign * d if before is None else before + sign * d for before, d in parts]
        d_a, d_c, *d_learned = found
        return d_a, d_c, None, None, None, *d_learned


def _graph(compare: Callable[[Tensor, Tensor], Tensor], a: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Similarities with their graph, and both sides as its leaves."""
    with torch.enable_grad():
        a, c = a.detach().requires_grad_(), c.detach().requires_grad_()
        return compare(a, c), a, c


def _add_slopes(d_a: Tensor | None, d_c: Tensor | None, graph: tuple[Tensor, Tensor, Tensor], d_s: Tensor) -> None:
    """Adds the gradients of a tile of other similarities, in place, by autograd."""
    s, a, c = graph
    for into, found in zip((d_a, d_c), torch.autograd.grad(s, (a, c), d_s.view_as(s)), strict=True):
        if into is not None:
            into += found


def _add_products(d_a: Tensor | None, d_c: Tensor | None, a: Tensor, c: Tensor, d_s: Tensor, scale: Tensor) -> None:
    """Writes into d_a, and adds to d_c, the gradients of a tile of inner products."""
    if d_a is not None:
        if d_a.ndim == 2:
            torch.mm(d_s, c, out=d_a).mul_(scale)
        else:
            d_a.copy_((d_s @ c).mul_(scale))
    if d_c is not None:
        add = d_c.addmm_ if d_c.ndim == 2 else d_c.baddbmm_
        add(d_s.mT, a * scale)


def _passed(
    a: Tensor,
    c: Tensor,
    loss: ContrastiveLoss,
    weight: Tensor,
    learned: Sequence[Tensor],
    needed: Sequence[bool],
    walked: Iterator[Tile],
) -> tuple[list[Tensor], list[Tensor | None]]:
    """Sums and gradients of one walk over all tiles.

    Returns:
        Total, count, negatives and chance (NaN if the loss has none); then d/da, d/dc and d/d each parameter of the
        loss, None where not needed.
    """
    total, count, negatives, chance = (exact(a.new_zeros(())) for _ in range(4))
    d_a, d_c = (torch.zeros_like(x) if wanted else None for x, wanted in zip((a, c), needed, strict=False))
    d_learned = [torch.zeros_like(p) for p in learned]
    held = a.new_empty(0)
    for t in walked:
        at = 0 if len(c) == 1 else t.lead  # a plain matrix product in place is faster than a batched one
        a_t, c_t = a[at, t.rows], c[at]
        if held.numel() < (size := math.prod(t.positives.shape)):
            held = a.new_empty(size)  # shared by all tiles: fresh memory for each costs a tenth of the time
        s = held[:size].view(*a_t.shape[:-1], -1)
        graph = None
        if t.compare is None:
            torch.matmul(a_t, c_t.mT, out=s)
        else:
            graph = _graph(t.compare, a_t, c_t)
            s.copy_(graph[0].detach())
        s = s.view(t.positives.shape)
        positives, candidates = t.seen(s)
        counts = loss.counted(positives, candidates).to(a.dtype) * weight[t.lead, t.rows]
        negatives += ((candidates.sum() - positives.count()) * (counts > 0)).sum()
        level = loss.chance(positives, candidates)
        chance += torch.nan if level is None else torch.where(counts > 0, level, 0).mul(counts).sum()
        if not any(needed):
            each = loss.per_anchor(s, positives, candidates)
        else:
            each, d_s, scale, *d_rest = loss.slope(s, positives, candidates, counts)
            d_s, scale = d_s.view(*a_t.shape[:-1], -1), scale.reshape(*a_t.shape[:-1], 1)
            into = d_a if d_a is None else d_a[at, t.rows], d_c if d_c is None else d_c[at]
            if graph is None:
                _add_products(*into, a_t, c_t, d_s, scale)
            else:
                _add_slopes(*into, graph, d_s * scale)
            for sum_, part in zip(d_learned, d_rest, strict=True):
                sum_ += part
        total += torch.where(counts > 0, each, 0).mul(counts).sum()
        count += counts.sum()
    return [total, count, negatives, chance], [d_a, d_c, *d_learned]
