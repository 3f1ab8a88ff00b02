"""InfoNCE in both directions from one matrix, in two passes over square blocks.

Tile by tile, `contrast` needs three matrix products for each direction, and computes every number of a symmetric matrix
twice. Here the first pass sums e^S by rows and by columns, and the second, in the backward pass, turns each e^S into
the gradient of both directions at once: four products for CLIP instead of six; for NT-Xent, where the upper triangle
serves both, two instead of three.

Conditions: a similarity that treats both sides alike and is small enough that no maximum has to be subtracted, and a
relation that can list its pairs, namely positives and candidates of a weight other than 1. Listed pairs are
taken out of the blocks and computed one by one, so that nothing cancels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, Keys, LossTerm, exact
from kontrast.core.normalize import longest, wide
from kontrast.losses.engine.oom_retry import Once, fitting
from kontrast.losses.kernel import Kernel
from kontrast.losses.miner import unwrapped
from kontrast.losses.relation import Distinct, Pairs, Relation, named
from kontrast.losses.tile_weights import CALM

# Entries of a block: 512 x 512 floats are 1 MB and stay in a core's cache. Measured on a CPU, 16,384 rows of width 128,
# NT-Xent forward and backward: 512 rows 1.13 s, 1,024 1.17 s, 2,048 1.29 s. Devices need large blocks to stay busy.
BLOCK, BLOCK_ON_DEVICE = 1 << 18, 1 << 24
# Up to this many entries (4 MB), the first pass keeps its exponentials for the second.
KEPT = 1 << 20
# Listed pairs per row, above which tiles are faster than computing pairs one by one.
MOST = 16
# Anchors, spread evenly, whose pairs are counted before all are listed: with large classes the full list can be far
# larger than the rows (5.6 GB at 131,072 rows of 100 classes).
COUNTED = 1024
# Listed pairs computed at once, which gathers this many rows of each side.
CHUNK = 1 << 16


@dataclass(frozen=True)
class Side:
    """Weights of the K listed pairs, as seen from the anchors of one side.

    Attributes:
        at: (K,) the anchor of each pair.
        positives: (K,) its weight as a positive.
        candidates: (K,) its weight as a candidate.
        weight: (N,) weight of each anchor in the mean.
        M: Number of candidates.
    """

    at: Tensor
    positives: Tensor
    candidates: Tensor
    weight: Tensor
    M: int

    def sum(self, of: Tensor) -> Tensor:
        """Sum over each anchor's listed pairs: (K,) to (N,)."""
        return of.new_zeros(len(self.weight)).index_add(0, self.at, of)

    @cached_property
    def pulled(self) -> Tensor:
        """Sum of the attraction of each anchor, (N,)."""
        return self.sum(self.positives)

    @cached_property
    def there(self) -> Tensor:
        """Number of candidates of each anchor, (N,)."""
        return self.sum(self.candidates - 1) + self.M

    @cached_property
    def counts(self) -> Tensor:
        """Weight of each anchor, (N,); 0 without a positive or without a candidate."""
        return ((self.pulled > 0) & (self.there > 0)).to(self.weight.dtype) * self.weight

    def tally(self) -> tuple[Tensor, Tensor, Tensor]:
        """Number of counted anchors, number of negative pairs, and the loss at equal similarities."""
        repels = self.there - self.sum((self.positives != 0).to(self.weight.dtype))
        level = self.there.clamp_min(1e-12).log() * self.counts
        return exact(self.counts).sum(), exact(repels * (self.counts > 0)).sum(), exact(level).sum()

    def losses(self, s: Tensor, others: Tensor) -> Tensor:
        """Sum over anchors of log mass minus mean attraction.

        Args:
            s: (K,) similarities of the listed pairs.
            others: (N,) sums of e^S over all other pairs.
        """
        mass = (others + self.sum(s.exp() * self.candidates)).clamp_min(torch.finfo(s.dtype).tiny)
        each = mass.log() - self.sum(self.positives * s) / self.pulled.clamp_min(1e-12)
        return (exact(torch.where(self.counts > 0, each, 0)) * self.counts).sum()

    def slopes(self, s: Tensor, others: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Factor of every e^S of an anchor, (N,), and gradients of the listed pairs, (K,).

        The gradient of a pair is weight (e^s Q / mass - P share). The mass is split into the listed pairs and the
        others: where an anchor's only positive holds all of the mass, the difference would leave nothing but rounding.
        """
        e = s.exp() * self.candidates
        drawn = self.sum(e)
        mass = (others + drawn).clamp_min(torch.finfo(s.dtype).tiny)
        factor = grad.to(s.dtype) * self.counts / mass
        share = self.positives * (1 / self.pulled.clamp_min(1e-12))[self.at]
        return factor, ((e - share * drawn[self.at]) - share * others[self.at]) * factor[self.at]


@dataclass(frozen=True)
class Both:
    """Listed pairs with their weights from either side.

    Attributes:
        i: (K,) rows of the first side.
        j: (K,) rows of the second side.
        forth: Weights with the first side as anchors.
        back: Weights with the second side as anchors; None if both sides are the same rows, and every pair is listed
            from both of its ends.
    """

    i: Tensor
    j: Tensor
    forth: Side
    back: Side | None


def both_ways(
    relation: Relation, one: Keys, two: Keys | None, weight: Tensor | None, like: Tensor, most: int
) -> Both | None:
    """Listed pairs of two sides, or of one side with itself.

    Args:
        relation: The relation that lists the pairs.
        one: Keys of the first side.
        two: Keys of the second side; None: the first side with itself.
        weight: (N,) weights of the anchors, for one side only.
        like: A tensor of the dtype and device to use.
        most: Most pairs worth listing.

    Returns:
        None if the relation lists more pairs than `most`, or cannot list them.
    """
    other = one if two is None else two
    n, m = len(one["row"]), len(other["row"])
    found: list[Tensor] = []
    for turned, (a, c) in enumerate([(one, other)] if two is None else [(one, two), (two, one)]):
        if _outgrown(relation, a, c, most):
            return None
        for pairs in relation.few(a, c):
            if pairs is None or len(pairs[0]) > most:
                return None
            i, j = pairs[::-1] if turned else pairs
            found.append(i * m + j)
            if two is None:
                found.append(j * m + i)
    once = torch.unique(torch.cat(found))
    if len(once) > most:
        return None
    i, j = once // max(m, 1), once % max(m, 1)
    anchors = like.new_ones(n) if weight is None else weight.detach().to(like.dtype)
    forth = _side(relation, one, other, (i, j), anchors, like)
    back = None if two is None else _side(relation, two, one, (j, i), like.new_ones(m), like)
    return Both(i, j, forth, back)


def _outgrown(relation: Relation, a: Keys, c: Keys, most: int) -> bool:
    """Whether a sample of anchors promises over twice `most` pairs, or lists none."""
    step = len(a["row"]) // COUNTED
    if step < 2:
        return False
    listed = relation.few({name: key[::step].contiguous() for name, key in a.items()}, c)
    return any(pairs is None or len(pairs[0]) * step > 2 * most for pairs in listed)


def _side(relation: Relation, a: Keys, c: Keys, pairs: Pairs, weight: Tensor, like: Tensor) -> Side:
    i, j = pairs
    positives, candidates = relation.weights({k: v[i] for k, v in a.items()}, {k: v[j] for k, v in c.items()})
    full = like.new_ones(len(i)) if candidates is None else candidates.to(like.dtype)
    return Side(i, positives.to(like.dtype), full, weight, len(next(iter(c.values()))))


@dataclass(frozen=True)
class _Block:
    """Rows of one side against rows of the other, with the listed pairs."""

    rows: slice
    columns: slice
    at: Pairs
    mirrored: bool  # stands for its mirror image on the other side of the diagonal too

    def similarities(self, a: Tensor, c: Tensor, held: Tensor) -> Tensor:
        """Similarities of the block, in `held`: fresh memory costs a tenth of the time."""
        a, c = a[self.rows], c[self.columns]
        return torch.mm(a, c.mT, out=held[: len(a) * len(c)].view(len(a), len(c)))

    def exponentials(self, S: Tensor) -> Tensor:
        """e^S in place of S, 0 at the listed pairs."""
        S.exp_()[self.at] = 0
        return S


def _blocks(both: Both, n: int, m: int, budget: int) -> Iterator[_Block]:
    """All blocks of at most `budget` numbers.

    Of one side with itself: those on and above the diagonal, unless one block holds everything.
    """
    if n * m <= budget:
        yield _Block(slice(0, n), slice(0, m), (both.i, both.j), False)
        return
    size = max(1, math.isqrt(budget))
    down, across = -(-n // size), -(-m // size)
    ordered, order = (both.i // size * across + both.j // size).sort()
    cuts = torch.searchsorted(ordered, torch.arange(down * across + 1, device=order.device)).tolist()
    for r in range(down):
        for c in range(r if both.back is None else 0, across):
            here = order[cuts[r * across + c] : cuts[r * across + c + 1]]
            rows, columns = (slice(k * size, min(total, k * size + size)) for k, total in ((r, n), (c, m)))
            at = (both.i[here] - rows.start, both.j[here] - columns.start)
            yield _Block(rows, columns, at, both.back is None and c > r)


def _summed(
    u: Tensor, v: Tensor, scale: Tensor, both: Both, keep: int, walked: Iterator[_Block]
) -> tuple[Tensor | None, list[Tensor]]:
    """First pass: sums of e^S by rows and by columns.

    Returns:
        (K,) similarities of the listed pairs if one block holds them all, else None; then (N,) and (M,) sums of all
        other e^S, and the matrix itself if it has at most `keep` numbers.
    """
    rows, columns, held, a = u.new_zeros(len(u)), u.new_zeros(len(v)), u.new_empty(0), u * scale
    for block in walked:
        held = _enough(held, block)
        S = block.similarities(a, v, held)
        s = S[block.at] if S.numel() == len(u) * len(v) else None
        e = block.exponentials(S)
        rows[block.rows] += e.sum(1)
        if block.mirrored:
            rows[block.columns] += e.sum(0)
        elif both.back is not None:
            columns[block.columns] += e.sum(0)
        if s is not None:
            return s, [rows, columns, e] if e.numel() <= keep else [rows, columns]
    return None, [rows, columns]


def _sloped(
    u: Tensor,
    v: Tensor,
    scale: Tensor,
    both: Both,
    factors: tuple[Tensor, Tensor],
    slopes: Tensor,
    kept: list[Tensor],
    walked: Iterator[_Block],
) -> tuple[Tensor, Tensor]:
    """Second pass: gradients of u and v over the scale, without the listed pairs.

    Of one side with itself, both are the same tensor, the sum of the two. The listed pairs, with gradients `slopes`
    (K,), are included if the matrix was kept.
    """
    a, d_u, held = u * scale, torch.zeros_like(u), u.new_empty(0)
    d_v = d_u if both.back is None else torch.zeros_like(v)
    for block in walked:
        held = _enough(held, block)
        weights = factors[0][block.rows, None] + factors[1][block.columns]
        slope = kept[0] * weights if kept else block.exponentials(block.similarities(a, v, held)).mul_(weights)
        if kept:  # one block, whose exponentials are 0 at the listed pairs
            slope[both.i, both.j] = slopes
            if both.back is None:
                slope.index_put_((both.j, both.i), slopes, accumulate=True)
        d_u[block.rows].addmm_(slope, v[block.columns])
        if block.mirrored or both.back is not None:
            d_v[block.columns].addmm_(slope.mT, u[block.rows])
    return d_u, d_v


def _enough(held: Tensor, block: _Block) -> Tensor:
    """Memory for a block: the given one, or a larger one."""
    size = (block.rows.stop - block.rows.start) * (block.columns.stop - block.columns.start)
    return held if held.numel() >= size else held.new_empty(size)


def _listed(u: Tensor, v: Tensor, both: Both) -> Tensor:
    """Inner products u_i . v_j of the listed pairs, (K,)."""
    parts = [slice(k, k + CHUNK) for k in range(0, len(both.i), CHUNK)]
    return torch.cat([u.new_empty(0), *(torch.linalg.vecdot(u[both.i[p]], v[both.j[p]]) for p in parts)])


class _Sweeps(torch.autograd.Function):
    """Totals of both directions of S = scale u v^T."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, v: Tensor, scale: Tensor, both: Both, budget: int, keep: int
    ) -> tuple[Tensor, Tensor]:
        """Runs the first pass."""
        walk = partial(_blocks, both, len(u), len(v))
        s, sums = fitting(partial(_summed, u, v, scale, both, keep), walk, u[None], v[None], budget)
        s = scale * _listed(u, v, both) if s is None else s
        ctx.both, ctx.budget = both, budget
        ctx.save_for_backward(u, v, scale, s, *sums)
        forth = both.forth.losses(s, sums[0])
        back = torch.zeros_like(forth) if both.back is None else both.back.losses(s, sums[1])
        return forth.to(u.dtype), back.to(u.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Runs the second pass."""
        tied = ctx.saved_tensors[:3]
        u, v, scale, s, rows, columns, *kept = (t.detach() for t in ctx.saved_tensors)
        both: Both = ctx.both
        with torch.no_grad():
            factor, slopes = both.forth.slopes(s, rows, grads[0])
            other = factor
            if both.back is not None:
                other, more = both.back.slopes(s, columns, grads[1])
                slopes = slopes + more
            run = partial(_sloped, u, v, scale, both, (factor, other), slopes, kept)
            d_u, d_v = fitting(run, partial(_blocks, both, len(u), len(v)), u[None], v[None], ctx.budget)
            for k in range(0, 0 if kept else len(slopes), CHUNK):
                i, j, g = both.i[k : k + CHUNK], both.j[k : k + CHUNK], slopes[k : k + CHUNK, None]
                d_u.index_add_(0, i, v[j] * g)
                d_v.index_add_(0, j, u[i] * g)
            d_scale = torch.linalg.vecdot(d_u, u).sum() / (2 if both.back is None else 1)
            found = [d_u * scale, None if both.back is None else d_v * scale, d_scale]
        if torch.is_grad_enabled():
            tie = sum(t.sum() for t in tied)
            found = [None if d is None else Once.apply(tie, d) for d in found]
        return *found, None, None, None


def swept(
    one: Embeddings, two: Embeddings | None, relation: Relation, kernel: Kernel, weight: Tensor | None, tile: int | None
) -> list[LossTerm] | None:
    """InfoNCE of two sides in both directions, or of one side against itself.

    Args:
        one: The first side.
        two: The second side; None: the first side against itself.
        relation: Positives and candidates.
        kernel: The similarity.
        weight: (N,) weights of the anchors, for one side only.
        tile: Most numbers in a block; None: chosen by the size and the device.

    Returns:
        One term per direction; None if the conditions of this file do not hold, and `contrast` has to do it.
    """
    other = one if two is None else two
    if one.z.ndim != 2 or not (len(one) and len(other)) or one.z.dtype != other.z.dtype or unwrapped(relation)[1]:
        return None
    left = kernel.alike(wide(one.z))
    right = left if two is None else kernel.alike(wide(two.z))
    if left is None or right is None:
        return None
    (u, scale), (v, _) = left, right
    if not float(scale.detach().abs() * longest(u) * longest(v)) <= CALM:
        return None
    keys = named(one), None if two is None else named(two)
    both = both_ways(relation & Distinct(), *keys, weight, u, MOST * (len(one) + len(other)))
    if both is None:
        return None
    on_device = u.device.type != "cpu"
    keep = BLOCK_ON_DEVICE if on_device else KEPT
    numbers = len(u) * len(v)
    budget = tile or (numbers if numbers <= keep else BLOCK_ON_DEVICE if on_device else BLOCK)
    totals = _Sweeps.apply(u, v, scale, both, budget, keep)
    sides = [side for side in (both.forth, both.back) if side is not None]
    tallies = [side.tally() for side in sides]
    terms = zip(totals, tallies, strict=False)
    return [LossTerm(total, n, negatives=many, chance=chance) for total, (n, many, chance) in terms]
