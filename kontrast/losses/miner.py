"""Contract of miners: relations that also read similarities and keep some pairs of each anchor."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.core.errors import UserError
from kontrast.losses.relation import Both, Pairs, Relation
from kontrast.losses.tile_weights import Tile, Weights


@dataclass(frozen=True)
class Seen:
    """Input of a miner: some anchors and all of their candidates.

    Attributes:
        similarity: (l, n, M) from the kernel, without gradient.
        positives: (l, n, M) weights of positives so far, dense.
        candidates: (l, n, M) weights of candidates so far, dense.
        anchor_keys: Keys (l or 1, n, 1, ...).
        candidate_keys: Keys (l or 1, 1, M, ...).
        unit: Similarity where the cosine (inner product, squared distance) is 1: 1 / temperature.
        width: Of the embeddings.
    """

    similarity: Tensor
    positives: Tensor
    candidates: Tensor
    anchor_keys: Keys
    candidate_keys: Keys
    unit: float
    width: int

    @property
    def negatives(self) -> Tensor:
        """Weights of negatives (l, n, M): candidates that are no positives."""
        return self.candidates * (1 - self.positives).clamp_min(0)


class Miner(Relation, ABC):
    """Relation that keeps or weighs pairs of the relation `of` by their current similarity.

    Wraps any relation: `Hard(SameKey("label") & ExcludeDuplicates("content"))`. Other relations combine with `&` before
    or after: `Hard(SameKey("label")) & ExcludeDuplicates("content")` is the same. Miners nest, the inner one picks
    first: `SemiHard(EasyPositive(SameKey("label")))`. The choice takes no gradient. Without similarities, `weights` are
    those of `of`.
    """

    of: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Weights of the wrapped relation, before anything is picked."""
        return self.of.weights(a, c)

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Lists of the wrapped relation."""
        return self.of.few(a, c)

    def reads(self) -> frozenset[str]:
        """Names of the wrapped relation's keys; override it in miners that read more."""
        return self.of.reads()

    @abstractmethod
    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Weights after mining.

        Args:
            seen: Similarities, weights and keys of some anchors and all of their candidates.

        Returns:
            Weights of positives and of candidates, (l, n, M) each.
        """


def unwrapped(relation: Relation) -> tuple[Relation, tuple[Miner, ...]]:
    """Relation without its miners, and the miners in the order in which they pick.

    Raises:
        UserError: A miner stands inside another relation.
    """
    if isinstance(relation, Miner):
        bare, miners = unwrapped(relation.of)
        return bare, (*miners, relation)
    if isinstance(relation, Both):
        (one, first), (two, second) = unwrapped(relation.one), unwrapped(relation.two)
        return (Both(one, two) if first or second else relation), (*first, *second)
    for part in vars(relation).values():
        if isinstance(part, Relation) and unwrapped(part)[1]:
            inner, outer = type(unwrapped(part)[1][-1]).__name__, type(relation).__name__
            raise UserError(
                f"relation: the miner {inner} stands inside {outer}; expected it around the whole relation, "
                f"{inner}({outer}(...)), or joined to others by &."
            )
    return relation, ()


def picked(
    walked: Iterator[Tile], miners: tuple[Miner, ...], a: Keys, c: Keys, unit: float, width: int
) -> Iterator[Tile]:
    """Tiles whose `pick` applies the miners once similarities are known."""
    for tile in walked:
        left = {k: v[tile.lead if len(v) > 1 else slice(1), tile.rows].unsqueeze(2) for k, v in a.items()}
        right = {k: v[tile.lead if len(v) > 1 else slice(1)].unsqueeze(1) for k, v in c.items()}
        pick: Callable[[Tensor], tuple[Weights, Weights]] = partial(
            _pick, tile=tile, miners=miners, a=left, c=right, unit=unit, width=width
        )
        yield replace(tile, pick=pick)


@torch.no_grad()
def _pick(
    similarity: Tensor, *, tile: Tile, miners: tuple[Miner, ...], a: Keys, c: Keys, unit: float, width: int
) -> tuple[Weights, Weights]:
    positives, candidates = (w.dense().to(similarity.dtype) for w in (tile.positives, tile.candidates))
    for miner in miners:
        seen = Seen(similarity, positives, candidates, a, c, unit, width)
        positives, candidates = (w.to(similarity.dtype) for w in miner.pick(seen))
    shape, bound = tile.candidates.shape, tile.candidates.bound
    return Weights(tile.positives.shape, positives), Weights(shape, candidates, bound=bound)
