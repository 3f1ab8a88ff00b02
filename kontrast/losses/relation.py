"""Relations: who attracts whom, among whom. A relation gives two weights for any two rows, from their keys alone."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.embeddings import Embeddings, Keys

Pairs = tuple[Tensor, Tensor]


class Relation(ABC):
    """How much j attracts i, and how much j counts among i's candidates (None: fully).

    Elementwise: keys come shaped to broadcast, (n, 1) against (1, M) for a tile, (k,) against (k,) for listed pairs.
    One line serves tiles, lists, stacks, torch.compile and the slow loop of a test. Frozen dataclasses with plain
    fields: they go to JSON and back.
    """

    ROOM = "relations"

    @abstractmethod
    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """(attract, among) of anchors with keys `a` towards candidates with keys `c`, elementwise."""

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Pairs outside of which attract is 0, and pairs outside of which among is 1; None: too many to list.

        It changes speed, never a value.
        """
        return None, None

    def reads(self) -> frozenset[str]:
        """Names of the keys that `weights` looks at, beside `id` and `view`, which all rows have."""
        return frozenset()

    @final
    def __and__(self, other: "Relation") -> "Relation":
        return Both(self, other)

    @final
    def __or__(self, other: "Relation") -> "Relation":
        return Either(self, other)

    @final
    def __mul__(self, by: float) -> "Relation":
        return Times(self, float(by))

    @final
    def __rmul__(self, by: float) -> "Relation":
        return Times(self, float(by))

    @final
    def __add__(self, other: "Relation") -> "Relation":
        return Mixed(self, other)


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
        return (r if p is None else p), _together(q, s)

    def reads(self) -> frozenset[str]:
        """The keys of both."""
        return self.one.reads() | self.two.reads()


@dataclass(frozen=True)
class Either(Relation):
    """One relation or the other: the larger of their weights attracts, whoever counts for one counts. Written `one |
    two`.

    `Same("id") | Same("label")`: views of the sample and samples of its label, each once.
    """

    one: Relation
    two: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """The larger of both; fully (None) wherever either says so."""
        (p, q), (r, s) = self.one.weights(a, c), self.two.weights(a, c)
        return _larger(p, r), None if q is None or s is None else _larger(q, s)

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Both lists, on both sides."""
        return tuple(map(_together, self.one.few(a, c), self.two.few(a, c)))  # pyright: ignore[reportReturnType]

    def reads(self) -> frozenset[str]:
        """The keys of both."""
        return self.one.reads() | self.two.reads()


@dataclass(frozen=True)
class Mixed(Relation):
    """The sum of two attractions; whoever counts for one counts. Written `one + two`, or `one + 0.5 * two`.

    A second opinion on who is alike: labels and a teacher (GenSCL's distillation, arXiv:2206.00384).
    """

    one: Relation
    two: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """The sum of what attracts, the larger of what counts."""
        (p, q), (r, s) = self.one.weights(a, c), self.two.weights(a, c)
        return 1 * p + 1 * r, None if q is None or s is None else _larger(q, s)

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Both lists, on both sides."""
        return tuple(map(_together, self.one.few(a, c), self.two.few(a, c)))  # pyright: ignore[reportReturnType]

    def reads(self) -> frozenset[str]:
        """The keys of both."""
        return self.one.reads() | self.two.reads()


@dataclass(frozen=True)
class Times(Relation):
    """An attraction of another strength, among the same candidates; a part of a mixture. Written `relation * 0.5`."""

    one: Relation
    by: float

    def __post_init__(self) -> None:
        if not self.by > 0:
            raise ValueError(
                f"a relation times {self.by}: expected a number above 0, for attraction is never negative."
            )

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """What attracts, times the number."""
        attract, among = self.one.weights(a, c)
        return attract * self.by, among

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """The same pairs."""
        return self.one.few(a, c)

    def reads(self) -> frozenset[str]:
        """The keys of the relation."""
        return self.one.reads()


@dataclass(frozen=True)
class PositivesOnly(Relation):
    """The attraction of a relation alone: whom it takes out of the candidates counts again."""

    one: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """(attract, fully)."""
        return self.one.weights(a, c)[0], None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """The list of who attracts; no exceptions among the candidates."""
        return self.one.few(a, c)[0], nobody(a)

    def reads(self) -> frozenset[str]:
        """The keys of the relation."""
        return self.one.reads()


@dataclass(frozen=True)
class CandidatesOnly(Relation):
    """The candidates of a relation alone: everyone attracts.

    `Same("label", apart=True) & Counting(Within("group"))`: positives of any group, negatives of the anchor's own, as
    fair supervised contrast wants it (FSCL, arXiv:2203.16209).
    """

    one: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """(everyone, among)."""
        attract, among = self.one.weights(a, c)
        return torch.ones_like(attract), among

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Everyone attracts; the list of exceptions among the candidates."""
        return None, self.one.few(a, c)[1]

    def reads(self) -> frozenset[str]:
        """The keys of the relation."""
        return self.one.reads()


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


def named(rows: Embeddings) -> dict[str, Tensor]:
    """The keys of rows, with `row`: one number that names id and view together.

    Views lie far apart: ids that are counted never meet, ids that are hashes as seldom as two hashes do.
    """
    return {**rows.keys, "row": rows.keys["id"] + rows.keys["view"].long() * random_streams.GAMMA}


def equal(a: Tensor, c: Tensor, *, unknown: bool = False) -> Pairs | None:
    """Every (i, j) with a_i = c_j, sorted by i, unless more than 1 in 32 pairs is; unknown: -1 is equal to nobody."""
    ordered, order = c.sort()
    if a is c and not (ordered[1:] == ordered[:-1]).any():  # each is equal to itself alone
        alone = torch.arange(len(c), device=c.device)
        return alone, alone
    a = known(a) if unknown else a
    return _within(a, a, ordered, order)


def known(key: Tensor) -> Tensor:
    """The key of anchors with -1, which says unknown, made a value that equals nobody's: unknown attracts nobody."""
    if key.dtype == torch.bool:
        return key
    nobodys = torch.nan if key.is_floating_point() else torch.iinfo(key.dtype).min
    return torch.where(key == -1, nobodys, key) if nobodys else key  # unsigned integers have no -1


def between(low: Tensor, high: Tensor, c: Tensor) -> Pairs | None:
    """Every (i, j) with low_i <= c_j <= high_i, sorted by i, unless more than 1 in 32 pairs is."""
    return _within(low, high, *c.sort())


def _within(low: Tensor, high: Tensor, ordered: Tensor, order: Tensor) -> Pairs | None:
    first = torch.searchsorted(ordered, low)
    counts = torch.searchsorted(ordered, high, right=True) - first
    if counts.sum() > len(low) * len(ordered) // 32:
        return None
    i = torch.arange(len(low), device=low.device).repeat_interleave(counts)
    step = torch.arange(len(i), device=low.device) - (counts.cumsum(0) - counts)[i]
    return i, order[first[i] + step]


def nobody(like: Mapping[str, Tensor]) -> Pairs:
    """The empty list of pairs."""
    none = torch.arange(0, device=next(iter(like.values())).device)
    return none, none


def _together(one: Pairs | None, two: Pairs | None) -> Pairs | None:
    """Both lists, where there are both; a pair may stand in it twice."""
    return None if one is None or two is None else (torch.cat([one[0], two[0]]), torch.cat([one[1], two[1]]))


def _larger(p: Tensor, q: Tensor) -> Tensor:
    return p | q if p.dtype == q.dtype == torch.bool else torch.maximum(1 * p, 1 * q)
