"""The contract of a miner: a relation that also looks at how similar rows are, and keeps some pairs of each anchor."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.core.errors import UserError
from kontrast.losses.engine.tile_weights import Tile, Weights
from kontrast.losses.relation import Both, Pairs, Relation


@dataclass(frozen=True)
class Seen:
    """What a miner sees of some anchors and all of their candidates.

    similarity: (l, n, M), what the kernel says, without gradient.
    attract, among: (l, n, M), the two weights so far, dense.
    anchors, candidates: the keys, (l or 1, n, 1, ...) and (l or 1, 1, M, ...).
    unit: the similarity of a cosine (an inner product, a squared distance) of 1, which is 1 / temperature.
    width: of the embeddings.
    """

    similarity: Tensor
    attract: Tensor
    among: Tensor
    anchors: Keys
    candidates: Keys
    unit: float
    width: int

    @property
    def repel(self) -> Tensor:
        """(l, n, M): 1 for a candidate that does not attract, weighed as it counts."""
        return self.among * (1 - self.attract).clamp_min(0)


class Miner(Relation, ABC):
    """A relation `of` rows, of whose pairs some are kept (or weighed) by how similar the rows are at this moment.

    Wrapped around any relation: `Hard(Same("label") & Twins("content"))`. Others may be added with `&`, before or
    after: `Hard(Same("label")) & Twins("content")` is the same. Miners nest, the inner one picks first:
    `SemiHard(EasyPositive(Same("label")))`. What a miner decides takes no gradient. By itself, without similarities,
    its weights are those of the relation it is wrapped around.
    """

    of: Relation

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Those of the relation, before anything is picked."""
        return self.of.weights(a, c)

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """The lists of the relation."""
        return self.of.few(a, c)

    def reads(self) -> frozenset[str]:
        """The keys of the relation; a miner that reads more says so itself."""
        return self.of.reads()

    @abstractmethod
    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """(attract, among), (l, n, M) each, of what is kept."""


def unwrapped(relation: Relation) -> tuple[Relation, tuple[Miner, ...]]:
    """The relation without its miners, and these in the order in which they pick."""
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
    """The tiles, each with what the miners make of its weights once its similarities are known."""
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
    attract, among = (w.dense().to(similarity.dtype) for w in (tile.attract, tile.among))
    for miner in miners:
        seen = Seen(similarity, attract, among, a, c, unit, width)
        attract, among = (w.to(similarity.dtype) for w in miner.pick(seen))
    return Weights(tile.attract.shape, attract), Weights(tile.among.shape, among, bound=tile.among.bound)
