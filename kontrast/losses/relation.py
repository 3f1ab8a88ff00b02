"""Relations: who attracts whom, among whom. A relation gives two weights for any two rows, from their keys alone."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from kontrast.core import chance
from kontrast.core.rows import Keys, Rows

Pairs = tuple[Tensor, Tensor]


class Relation(ABC):
    """How much j attracts i, and how much j counts among i's candidates (None: fully).

    Elementwise: keys come shaped to broadcast, (n, 1) against (1, M) for a tile, (k,) against (k,) for listed pairs.
    One line serves tiles, lists, stacks, torch.compile and the slow loop of a test. Frozen dataclasses with plain
    fields: they go to JSON and back.
    """

    @abstractmethod
    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """(attract, among) of anchors with keys `a` towards candidates with keys `c`, elementwise."""

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Pairs outside of which attract is 0, and pairs outside of which among is 1; None: too many to list.

        It changes speed, never a value.
        """
        return None, None

    @final
    def __and__(self, other: "Relation") -> "Relation":
        return Both(self, other)


@dataclass(frozen=True)
class Both(Relation):
    """Two relations at once: their weights multiply. Written `one & two`."""

    one: Relation
    two: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """The products; a factor of None is 1."""
        (p, q), (r, s) = self.one.weights(a, c), self.two.weights(a, c)
        return p * r, s if q is None else q if s is None else q * s

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Attract is 0 outside of either list, among is 1 outside of both."""
        (p, q), (r, s) = self.one.few(a, c), self.two.few(a, c)
        if q is None or s is None:
            return (r if p is None else p), None
        return (r if p is None else p), (torch.cat([q[0], s[0]]), torch.cat([q[1], s[1]]))


@dataclass(frozen=True)
class Distinct(Relation):
    """A row never meets itself (same id, same view), on whatever rank or queue it lies. `contrast` always adds it."""

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """1 for any two different rows, else 0."""
        other = a["row"] != c["row"]
        return other, other

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Few rows meet themselves."""
        return None, equal(a["row"], c["row"])


def named(rows: Rows) -> dict[str, Tensor]:
    """The keys of rows, with `row`: one number that names id and view together (hashed to 64 bits)."""
    row = chance.mix(rows.keys["id"]) + chance.mix(chance.mix(rows.keys["view"].long() + 1))
    return {**rows.keys, "row": row}


def equal(a: Tensor, c: Tensor) -> Pairs | None:
    """Every (i, j) with a_i = c_j, sorted by i, unless more than 1 in 32 pairs is."""
    ordered, order = c.sort()
    first = torch.searchsorted(ordered, a)
    counts = torch.searchsorted(ordered, a, right=True) - first
    if counts.sum() > len(a) * len(c) // 32:
        return None
    i = torch.arange(len(a), device=a.device).repeat_interleave(counts)
    step = torch.arange(len(i), device=a.device) - (counts.cumsum(0) - counts)[i]
    return i, order[first[i] + step]


def nobody(like: Mapping[str, Tensor]) -> Pairs:
    """The empty list of pairs."""
    none = torch.arange(0, device=next(iter(like.values())).device)
    return none, none
