"""Weights of a tile, dense or as exceptions, and the walk over all tiles."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation

# Entries of the smallest tile: 2^20 floats are 4 MB, near a core's share of the cache.
TILE = 1 << 20
# Pairs are listed for BLOCK tiles at once, and for more if the pairs are fewer than 1 / SHARE of a tile's entries.
# So lists grow with the tile, however many pairs a label makes, and candidates are sorted only a few times.
BLOCK, SHARE = 8, 8
# Similarities up to this size need no maximum subtracted: e^40 is 2e17, far below the range of float32.
CALM = 40.0


@dataclass(frozen=True)
class Weights:
    """Weight matrix (l, n, M): dense, or constant but for listed exceptions.

    Attributes:
        shape: (l, n, M).
        values: The dense matrix, or the (K,) listed weights.
        at: Rows and columns of the listed weights; None: the matrix is dense.
        rest: Weight of all entries that are not listed, 0 or 1.
        bound: No similarity of the tile is larger in size.
    """

    shape: tuple[int, int, int]
    values: Tensor
    at: Pairs | None = None
    rest: int = 0
    bound: float = math.inf

    def dense(self) -> Tensor:
        """The plain matrix."""
        if self.at is None:
            return self.values.expand(self.shape)
        whole = self.values.new_full(self.shape, self.rest)
        whole[:, *self.at] = self.values
        return whole

    def sum(self) -> Tensor:
        """Row sums, shape (l, n)."""
        if self.at is None:
            return self.dense().sum(-1, dtype=torch.promote_types(self.values.dtype, torch.float32))
        listed = self.values.new_zeros(self.shape[1]).index_add(0, self.at[0], self.values - self.rest)
        return (listed + self.rest * self.shape[2]).expand(self.shape[:2])

    def count(self) -> Tensor:
        """Number of nonzero weights per anchor, shape (l, n)."""
        one = Weights(self.shape, (self.values != 0).float(), self.at, self.rest)
        return one.sum()

    def dot(self, s: Tensor) -> Tensor:
        """sum_j W_ij S_ij per anchor, shape (l, n)."""
        if self.at is None or self.rest:
            return torch.linalg.vecdot(self.dense().to(s.dtype), s)
        return s.new_zeros(s.shape[:2]).index_add(-1, self.at[0], s[:, *self.at] * self.values)

    def exp_(self, s: Tensor, bound: float = math.inf) -> tuple[Tensor, Tensor]:
        """W e^(S - top) in place, and top (l, n, 1).

        top is 0 if no similarity is larger in size than a small `bound`: subtracting the maximum, and handling what is
        far below it, costs three more passes over the tile.
        """
        if bound <= CALM and self.at is not None and self.rest:
            s.exp_()[:, *self.at] *= self.values
            return s, s.new_zeros(()).expand(*s.shape[:2], 1)
        e = self._log_onto_(s)
        top = e.amax(-1, keepdim=True).clamp_min(torch.finfo(e.dtype).min)
        return _exp_(e.sub_(top)), top

    def _log_onto_(self, s: Tensor) -> Tensor:
        """S + log W in place: entries that are no candidates become -inf."""
        if self.at is None or not self.rest:
            dense = self.dense()
            return s.masked_fill_(~dense, -torch.inf) if dense.dtype == torch.bool else s.add_(dense.log())
        s[:, *self.at] += self.values.log()
        return s


def _exp_(x: Tensor) -> Tensor:
    """e^x in place for x up to 0; below 1e-30 it is 0.

    A sum that holds the largest term, 1, cannot tell the difference. Measured on CPU: where x is -300 or -inf, exp
    takes 30 times as long, and the denormal numbers that come out of it make the products after it 20 times as slow.
    Sharp temperatures and masked candidates are such cases.
    """
    return F.threshold(x.clamp_min_(-80).exp_(), 1e-30, 0.0, inplace=True)


@dataclass(frozen=True)
class Tile:
    """Some anchors of some problems of a stack, with their weights towards candidates.

    Attributes:
        lead: The problems of the stack.
        rows: The anchors.
        positives: Weights of positives.
        candidates: Weights of candidates.
        pick: What a miner makes of the weights once similarities are known; None without a miner.
        compare: Similarities of a kernel that is no inner product; None for inner products.
    """

    lead: slice
    rows: slice
    positives: Weights
    candidates: Weights
    pick: Callable[[Tensor], tuple[Weights, Weights]] | None = None
    compare: Callable[[Tensor, Tensor], Tensor] | None = None

    def similarity(self, a: Tensor, c: Tensor) -> Tensor:
        """Similarities (..., n, M) of this tile's anchors and candidates."""
        return a @ c.mT if self.compare is None else self.compare(a, c)

    def seen(self, similarity: Tensor) -> tuple[Weights, Weights]:
        """Both weights at these similarities (l, n, M), after the miner if there is one."""
        return (self.positives, self.candidates) if self.pick is None else self.pick(similarity)


def usual(candidates: int) -> int:
    """Default number of entries in a tile: 128 rows, but between 4 and 32 MB.

    Measured on CPU, width 128, against the best of 16 to 512 rows: at 4,096 candidates (256 rows) 1.00, at 16,384 (128)
    1.00, at 131,072 (64) 1.05; 16 rows there cost 1.46, since each tile reads and writes all candidates' gradients. A
    dense loss by autograd: 1.16, 1.00, 1.23.
    """
    return min(max(128 * candidates, TILE), 8 * TILE)


def tiles(
    relation: Relation,
    a: Keys,
    c: Keys,
    shape: tuple[int, int, int],
    dtype: torch.dtype,
    budget: int,
    bound: float = math.inf,
) -> Iterator[Tile]:
    """All tiles of a problem (L, N, M), each of at most `budget` numbers.

    A tile holds many small problems at once, or some rows of a large one.

    Args:
        relation: Positives and candidates.
        a: Keys of the anchors, (L or 1, N, ...) each.
        c: Keys of the candidates, (L or 1, M, ...) each.
        shape: (L, N, M).
        dtype: Type of the weights.
        budget: Most numbers in a tile, but at least one row.
        bound: Bound of the similarities' size.
    """
    L, N, M = shape
    rows = max(1, min(N, budget // max(M, 1)))
    stack = max(1, budget // max(rows * M, 1))
    listable = all(len(key) == 1 for key in (*a.values(), *c.values()))
    first, many = 0, BLOCK
    while first < N:
        last = min(first + many * rows, N)
        lists: tuple[_List | None, ...] = (None, None)
        if listable:
            lists = _lists(relation, {k: v[:, first:last] for k, v in a.items()}, c, dtype, rows)
        for lead, start in itertools.product(range(0, L, stack), range(first, last, rows)):
            size = (min(stack, L - lead), min(rows, last - start), M)
            tile = _tile(relation, a, c, lists, size, lead, start, first, dtype)
            yield replace(tile, candidates=replace(tile.candidates, bound=bound))
        if None not in lists:  # at most four times as many, since later rows may have more pairs
            found = max(1, *(len(one.i) for one in lists if one))
            many = max(BLOCK, min(4 * many, many * (budget // SHARE) // found))
        first = last


def _tile(
    relation: Relation,
    a: Keys,
    c: Keys,
    lists: "tuple[_List | None, ...]",
    size: tuple[int, int, int],
    lead: int,
    start: int,
    first: int,
    dtype: torch.dtype,
) -> Tile:
    """Tile of `size` at problem `lead` and anchor `start`; lists begin at `first`."""
    here, rows = slice(lead, lead + size[0]), slice(start, start + size[1])
    dense: tuple[Tensor | None, Tensor | None] = (None, None)
    if None in lists:
        left = {k: v[here if len(v) > 1 else slice(1), rows].unsqueeze(2) for k, v in a.items()}
        right = {k: v[here if len(v) > 1 else slice(1)].unsqueeze(1) for k, v in c.items()}
        dense = relation.weights(left, right)
    both = []
    for rest, (found, whole) in enumerate(zip(lists, dense, strict=True)):
        if found is not None:
            both.append(found.cut(start - first, size, rest))
        elif whole is None:  # all candidates count: an empty list of exceptions
            none = torch.arange(0, device=next(iter(a.values())).device)
            both.append(Weights(size, torch.ones(0, dtype=dtype, device=none.device), (none, none), 1))
        else:  # floats to multiply, bools to mask: bool times float costs 7 times as much as float times float
            both.append(Weights(size, whole if rest and whole.dtype == torch.bool else whole.to(dtype)))
    return Tile(here, rows, *both)


@dataclass(frozen=True)
class _List:
    """Pairs of anchor and candidate with their weights, sorted by anchor.

    Attributes:
        i: (K,) anchors.
        j: (K,) candidates.
        values: (K,) weights.
        rows: Anchors per tile.
        cuts: Where the pairs of each tile begin.
    """

    i: Tensor
    j: Tensor
    values: Tensor
    rows: int
    cuts: list[int]

    def cut(self, start: int, size: tuple[int, int, int], rest: int) -> Weights:
        """The pairs of the tile that begins at the anchor `start`."""
        n = start // self.rows
        of = slice(self.cuts[n], self.cuts[n + 1])
        return Weights(size, self.values[of], (self.i[of] - start, self.j[of]), rest)


@dataclass(frozen=True)
class _Taken(Mapping[str, Tensor]):
    """Keys of some rows, indexed only when read, since most never are."""

    whole: Keys
    at: Tensor

    def __getitem__(self, name: str) -> Tensor:
        return self.whole[name][self.at]

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole)

    def __len__(self) -> int:
        return len(self.whole)


def _lists(relation: Relation, a: Keys, c: Keys, dtype: torch.dtype, rows: int) -> tuple[_List | None, ...]:
    """Pairs of both weights, each once; None for a weight without a list."""
    left, right = {k: v[0] for k, v in a.items()}, {k: v[0] for k, v in c.items()}
    n, m = (len(next(iter(keys.values()))) for keys in (left, right))
    out: list[_List | None] = []
    for side, pairs in enumerate(relation.few(left, right)):
        if pairs is None:
            out.append(None)
            continue
        once = torch.unique(pairs[0] * m + pairs[1])  # a pair listed by two relations must not count twice
        i, j = once // max(m, 1), once % max(m, 1)
        values = relation.weights(_Taken(left, i), _Taken(right, j))[side]
        values = torch.ones_like(i, dtype=dtype) if values is None else values.to(dtype)
        cuts = torch.searchsorted(i, torch.arange(0, n + rows, rows, device=i.device)).tolist()
        out.append(_List(i, j, values, rows, cuts))
    return tuple(out)
