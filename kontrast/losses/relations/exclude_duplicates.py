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

    A mixed row (MixUp, CutMix) shows two contents: with `partner` it is no negative of a row that shows either of them.

    Args:
        key: Key of the content, equal for duplicates.
        partner: Key of the second content of mixed rows, "partner content FIELD"; "" if rows are not mixed. A row that
            is not mixed has its own content there.

    Equation:
        P_ij = 1, Q_ij = 0 if {key_i, partner_i} and {key_j, partner_j} have a content in common and id_i != id_j,
        else 1; without `partner` the sets are {key_i} and {key_j}

    Example:
        >>> anchors = {"id": torch.tensor([[0]]), "content": torch.tensor([[7]])}
        >>> candidates = {"id": torch.tensor([0, 1, 2]), "content": torch.tensor([7, 7, 8])}
        >>> ExcludeDuplicates("content").weights(anchors, candidates)[1].int().tolist()
        [[1, 0, 1]]
    """

    key: str
    partner: str = ""

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Ones, and 0 for equal content of another sample."""
        twin = a[self.key] == c[self.key]
        for one, other in self._crossed():
            twin = twin | (a[one] == c[other])
        twin = twin & (a["id"] != c["id"])
        return torch.ones_like(twin), ~twin

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Pairs with equal content; those of the same sample have weight 1."""
        lists = [equal(a[one], c[other]) for one, other in ((self.key, self.key), *self._crossed())]
        found = [pairs for pairs in lists if pairs is not None]
        if len(found) < len(lists):
            return None, None
        return None, (torch.cat([i for i, _ in found]), torch.cat([j for _, j in found]))

    def reads(self) -> frozenset[str]:
        """Names of the keys."""
        return frozenset({self.key, self.partner} - {""})

    def _crossed(self) -> tuple[tuple[str, str], ...]:
        """Pairs of keys to compare besides the first with itself."""
        key, partner = self.key, self.partner
        return ((key, partner), (partner, key), (partner, partner)) if partner else ()
