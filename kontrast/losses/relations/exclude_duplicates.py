"""Excludes duplicates of the anchor from its negatives."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, equal


@dataclass(frozen=True)
class ExcludeDuplicates(Relation):
    """Excludes duplicates of the anchor from its negatives.

    Take it if data may hold the same content twice, as `SameKey("id") & ExcludeDuplicates("content")`: otherwise each
    copy is pushed away from its equal. Without duplicates it changes nothing.

    Args:
        key: Key of the content, equal for duplicates.

    Equation:
        P_ij = 1, Q_ij = 0 if key_i = key_j and id_i != id_j, else 1

    Example:
        >>> anchors = {"id": torch.tensor([[0]]), "content": torch.tensor([[7]])}
        >>> candidates = {"id": torch.tensor([0, 1, 2]), "content": torch.tensor([7, 7, 8])}
        >>> ExcludeDuplicates("content").weights(anchors, candidates)[1].int().tolist()
        [[1, 0, 1]]
    """

    key: str

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Ones, and 0 for equal content of another sample."""
        twin = (a[self.key] == c[self.key]) & (a["id"] != c["id"])
        return torch.ones_like(twin), ~twin

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Pairs with equal content; those of the same sample have weight 1."""
        return None, equal(a[self.key], c[self.key])

    def reads(self) -> frozenset[str]:
        """Name of the key."""
        return frozenset({self.key})
