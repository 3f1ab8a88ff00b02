"""The weights of a tile, dense or as a short list of exceptions, and the walk over all tiles of a problem."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core.rows import Keys
from kontrast.losses.relation import Pairs, Relation


@dataclass(frozen=True)
class Weights:
    """One weight matrix of a tile, (l, n, M): dense; or `rest` (0 or 1) everywhere but at a few listed rows and
    columns."""

    shape: tuple[int, int, int]
    values: Tensor
    at: Pairs | None = None
    rest: int = 0

    def dense(self) -> Tensor:
        """The plain matrix."""
        if self.at is None:
            return self.values.expand(self.shape)
        whole = self.values.new_full(self.shape, self.rest)
        whole[:, *self.at] = self.values
        return whole

    def sum(self) -> Tensor:
        """sum_j W_ij, an anchor each: (l, n)."""
        if self.at is None:
            return self.dense().sum(-1, dtype=torch.promote_types(self.values.dtype, torch.float32))
        listed = self.values.new_zeros(self.shape[1]).index_add(0, self.at[0], self.values - self.rest)
        return (listed + self.rest * self.shape[2]).expand(self.shape[:2])

    def count(self) -> Tensor:
        """How many weights are not 0, an anchor each: (l, n)."""
        one = Weights(self.shape, (self.values != 0).float(), self.at, self.rest)
        return one.sum()

    def dot(self, s: Tensor) -> Tensor:
        """sum_j W_ij S_ij, an anchor each: (l, n)."""
        if self.at is None or self.rest:
            return torch.linalg.vecdot(self.dense().to(s.dtype), s)
        return s.new_zeros(s.shape[:2]).index_add(-1, self.at[0], s[:, *self.at] * self.values)

    def log_onto_(self, s: Tensor) -> Tensor:
        """S + log W, in place: what is no candidate becomes -inf."""
        if self.at is None or not self.rest:
            dense = self.dense()
            return s.masked_fill_(~dense, -torch.inf) if dense.dtype == torch.bool else s.add_(dense.log())
        s[:, *self.at] += self.values.log()
        return s


@dataclass(frozen=True)
class Tile:
    """Some problems of a stack (`lead`) and some of their anchors (`rows`), with their weights towards candidates."""

    lead: slice
    rows: slice
    attract: Weights
    among: Weights


def tiles(
    relation: Relation, a: Keys, c: Keys, shape: tuple[int, int, int], dtype: torch.dtype, budget: int
) -> Iterator[Tile]:
    """All tiles of (L, N, M), none of more than `budget` numbers: many small problems at once, or some rows of a large
    one."""
    L, N, M = shape
    rows = max(1, min(N, budget // max(M, 1)))
    stack = max(1, budget // max(rows * M, 1))
    lists = _lists(relation, a, c, dtype) if all(len(key) == 1 for key in (*a.values(), *c.values())) else (None, None)
    starts = torch.arange(0, N + rows, rows, device=next(iter(a.values())).device)
    bounds = [None if found is None else torch.searchsorted(found[0], starts).tolist() for found in lists]
    for first, start in itertools.product(range(0, L, stack), range(0, N, rows)):
        lead, here = slice(first, min(first + stack, L)), slice(start, min(start + rows, N))
        size = (lead.stop - first, here.stop - start, M)
        dense: tuple[Tensor | None, Tensor | None] = (None, None)
        if None in lists:
            left = {k: v[lead if len(v) > 1 else slice(1), here].unsqueeze(2) for k, v in a.items()}
            right = {k: v[lead if len(v) > 1 else slice(1)].unsqueeze(1) for k, v in c.items()}
            dense = relation.weights(left, right)
        both = []
        for rest in (0, 1):
            found, cuts, whole = lists[rest], bounds[rest], dense[rest]
            if found is not None and cuts is not None:
                cut = slice(cuts[start // rows], cuts[start // rows + 1])
                both.append(Weights(size, found[2][cut], (found[0][cut] - start, found[1][cut]), rest))
            elif whole is None:  # everyone counts: an empty list of exceptions
                none = starts[:0]
                both.append(Weights(size, torch.ones(0, dtype=dtype, device=starts.device), (none, none), 1))
            else:  # floats to multiply, bools to mask: a product of bool and float costs 7x one of floats
                both.append(Weights(size, whole if rest and whole.dtype == torch.bool else whole.to(dtype)))
        yield Tile(lead, here, *both)


def _lists(
    relation: Relation, a: Keys, c: Keys, dtype: torch.dtype
) -> tuple[tuple[Tensor, Tensor, Tensor] | None, ...]:
    """(anchor, candidate, weight) of both sides, sorted by anchor, where the relation can list them; each pair once."""
    left, right = {k: v[0] for k, v in a.items()}, {k: v[0] for k, v in c.items()}
    size = len(next(iter(right.values())))
    out: list[tuple[Tensor, Tensor, Tensor] | None] = []
    for side, pairs in enumerate(relation.few(left, right)):
        if pairs is None:
            out.append(None)
            continue
        once = torch.unique(pairs[0] * size + pairs[1])  # two relations may list one pair; it must not count twice
        i, j = once // max(size, 1), once % max(size, 1)
        values = relation.weights({k: v[i] for k, v in left.items()}, {k: v[j] for k, v in right.items()})[side]
        out.append((i, j, torch.ones_like(i, dtype=dtype) if values is None else values.to(dtype)))
    return tuple(out)
