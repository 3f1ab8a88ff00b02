"""Rows of different samples whose content is the same are no negatives of each other."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, equal


@dataclass(frozen=True)
class ExcludeDuplicates(Relation):
    """Takes false negatives out of the candidates: another sample (another `id`) whose `key` is equal, a duplicate.

    Where a picture stands twice in the data, each of its copies would be pushed away from what is the same. Written
    `Same("id") & Twins("content")`; without duplicates it changes nothing.
    """

    key: str

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Attract: all. Among: all but equal content of another sample."""
        twin = (a[self.key] == c[self.key]) & (a["id"] != c["id"])
        return torch.ones_like(twin), ~twin

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Equal content is listed; a row's own sample is among it, with weight 1."""
        return None, equal(a[self.key], c[self.key])

    def reads(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})
