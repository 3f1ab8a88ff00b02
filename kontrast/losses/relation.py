"""Relations: weights of positives and candidates for any two rows, from their keys alone."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.embeddings import Embeddings, Keys, Stack

Pairs = tuple[Tensor, Tensor]


class Relation(ABC):
    """Weights of two rows: as anchor and positive, and as anchor and candidate.

    Relations combine with `&`, `|`, `+` and `*`. They are elementwise: keys come shaped to broadcast, (n, 1) against
    (1, M) for a tile, (k,) against (k,) for listed pairs, so one definition serves tiles, lists, stacks and
    torch.compile. Subclasses are frozen dataclasses with plain fields, which JSON stores.

    Example:
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> relation = SameKey("id") | SameKey("label")
        >>> anchor = {"id": torch.tensor([[0]]), "label": torch.tensor([[5]])}
        >>> rows = {"id": torch.tensor([0, 1, 2]), "label": torch.tensor([4, 5, 6])}
        >>> relation.weights(anchor, rows)[0].int().tolist()
        [[1, 1, 0]]
    """

    ROOM = "relations"

    @abstractmethod
    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Weights of positives and of candidates.

        Args:
            a: Keys of anchors.
            c: Keys of candidates, which broadcast against those of anchors.

        Returns:
            (P, Q), at least 0, elementwise; Q of None means 1 everywhere.
        """

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Short lists of pairs outside of which P is 0 and Q is 1.

        They change speed, never a value.

        Returns:
            Two lists of (anchor, candidate) indices; None where there are too many pairs to list.
        """
        return None, None

    def reads(self) -> frozenset[str]:
        """Names of the keys that `weights` reads, besides `id` and `view`, which all rows have."""
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
    """Product of the weights of two relations; written `one & two`."""

    one: Relation
    two: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Products of the weights; None counts as 1."""
        (p, q), (r, s) = self.one.weights(a, c), self.two.weights(a, c)
        return p * r, s if q is None else q if s is None else q * s

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """P is 0 outside of either list, Q is 1 outside of both."""
        (p, q), (r, s) = self.one.few(a, c), self.two.few(a, c)
        return (r if p is None else p), _together(q, s)

    def reads(self) -> frozenset[str]:
        """Names of the keys of both."""
        return self.one.reads() | self.two.reads()


@dataclass(frozen=True)
class Either(Relation):
    """Larger of the weights of two relations; written `one | two`.

    `SameKey("id") | SameKey("label")`: views of the sample and samples of its label, each once.
    """

    one: Relation
    two: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Larger weights; Q is None if either is."""
        (p, q), (r, s) = self.one.weights(a, c), self.two.weights(a, c)
        return _larger(p, r), None if q is None or s is None else _larger(q, s)

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Pairs of both lists."""
        return tuple(map(_together, self.one.few(a, c), self.two.few(a, c)))  # pyright: ignore[reportReturnType]

    def reads(self) -> frozenset[str]:
        """Names of the keys of both."""
        return self.one.reads() | self.two.reads()


@dataclass(frozen=True)
class Mixed(Relation):
    """Sum of the positives' weights of two relations, larger of the candidates'.

    Written `one + two` or `one + 0.5 * two`, for a second source of similarity: labels and a teacher (GenSCL's
    distillation, arXiv:2206.00384).
    """

    one: Relation
    two: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Sum of P, larger of Q."""
        (p, q), (r, s) = self.one.weights(a, c), self.two.weights(a, c)
        return 1 * p + 1 * r, None if q is None or s is None else _larger(q, s)

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Pairs of both lists."""
        return tuple(map(_together, self.one.few(a, c), self.two.few(a, c)))  # pyright: ignore[reportReturnType]

    def reads(self) -> frozenset[str]:
        """Names of the keys of both."""
        return self.one.reads() | self.two.reads()


@dataclass(frozen=True)
class Times(Relation):
    """Relation whose positives weigh `by` times as much, in a sum; written `relation * 0.5`."""

    one: Relation
    by: float

    def __post_init__(self) -> None:
        if not self.by > 0:
            raise ValueError(
                f"a relation times {self.by}; expected a number above 0, since weights of positives are never negative."
            )

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """P times the number, and Q."""
        positives, candidates = self.one.weights(a, c)
        return positives * self.by, candidates

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Lists of the relation."""
        return self.one.few(a, c)

    def reads(self) -> frozenset[str]:
        """Names of the relation's keys."""
        return self.one.reads()


@dataclass(frozen=True)
class PositivesOnly(Relation):
    """Positives of a relation; every row is a candidate."""

    one: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """P of the relation, and all candidates."""
        return self.one.weights(a, c)[0], None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """List of positives; no row is excluded."""
        return self.one.few(a, c)[0], nobody(a)

    def reads(self) -> frozenset[str]:
        """Names of the relation's keys."""
        return self.one.reads()


@dataclass(frozen=True)
class CandidatesOnly(Relation):
    """Candidates of a relation; every row may be a positive.

    `SameKey("label", apart=True) & CandidatesOnly(WithinGroup("group"))`: positives of any group, negatives of the
    anchor's own, as in fair supervised contrast (FSCL, arXiv:2203.16209).
    """

    one: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Ones, and Q of the relation."""
        positives, candidates = self.one.weights(a, c)
        return torch.ones_like(positives), candidates

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """No short list of positives; the relation's list of excluded candidates."""
        return None, self.one.few(a, c)[1]

    def reads(self) -> frozenset[str]:
        """Names of the relation's keys."""
        return self.one.reads()


@dataclass(frozen=True)
class Distinct(Relation):
    """Excludes the comparison of a row with itself, on any process or queue.

    Such rows have the same id and view. `contrast` always adds it.
    """

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """1 for two different rows, else 0."""
        other = a["row"] != c["row"]
        return other, other

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Pairs of a row with itself."""
        return None, equal(a["row"], c["row"])


def named(rows: Embeddings | Stack) -> dict[str, Tensor]:
    """Keys of rows, with `row`: a number that identifies id and view together.

    Views are spaced far apart: consecutive ids never collide, hashed ids as rarely as two hashes do.
    """
    return {**rows.keys, "row": rows.keys["id"] + rows.keys["view"].long() * random_streams.GAMMA}


def equal(a: Tensor, c: Tensor, *, unknown: bool = False) -> Pairs | None:
    """Pairs (i, j) with a_i = c_j, sorted by i.

    None if more than 1 in 32 of all pairs are equal.

    Args:
        a: (n,) keys of anchors.
        c: (M,) keys of candidates.
        unknown: Whether -1 means unknown and equals nothing.
    """
    ordered, order = c.sort()
    if a is c and not (ordered[1:] == ordered[:-1]).any():  # each is equal to itself alone
        alone = torch.arange(len(c), device=c.device)
        return alone, alone
    a = known(a) if unknown else a
    return _within(a, a, ordered, order)


def known(key: Tensor) -> Tensor:
    """Key of anchors with -1 (unknown) replaced by a value that equals no other."""
    if key.dtype == torch.bool:
        return key
    nobodys = torch.nan if key.is_floating_point() else torch.iinfo(key.dtype).min
    return torch.where(key == -1, nobodys, key) if nobodys else key  # unsigned integers have no -1


def between(low: Tensor, high: Tensor, c: Tensor) -> Pairs | None:
    """Pairs (i, j) with low_i <= c_j <= high_i, sorted by i; None if there are more than 1 in 32."""
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
    """Empty list of pairs."""
    none = torch.arange(0, device=next(iter(like.values())).device)
    return none, none


def _together(one: Pairs | None, two: Pairs | None) -> Pairs | None:
    """Concatenated lists if there are both; a pair may occur twice."""
    return None if one is None or two is None else (torch.cat([one[0], two[0]]), torch.cat([one[1], two[1]]))


def _larger(p: Tensor, q: Tensor) -> Tensor:
    return p | q if p.dtype == q.dtype == torch.bool else torch.maximum(1 * p, 1 * q)
