"""Rows on an anchor's own list attract: edges of a graph, meta-paths, nearest neighbours, chosen positives."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, equal, nobody


@dataclass(frozen=True)
class Neighbours(Relation):
    """The key of an anchor is its list, (N, K) numbers padded with -1; j attracts if its `of` stands on it.

    Adjacency and meta-path sets (HeCo, arXiv:2105.09111) list ids; `losses.nearest` makes such a key of embeddings;
    `losses.chosen` makes one of rows (`of="row"`, a view of a sample and no other). A list is one way: j on i's list
    attracts i. A sample is on its own list only if it is written there; else `Same("id") | Neighbours(...)`.
    """

    key: str
    of: str = "id"

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Place by place of the list, so that no third axis is ever held."""
        listed = torch.zeros_like(c[self.of], dtype=torch.bool)
        for at in a[self.key].unbind(-1):
            listed = listed | ((at == c[self.of]) & (at != -1))
        return listed, None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Lists are short."""
        lists = a[self.key]
        real = (lists != -1).nonzero()
        found = equal(lists[real[:, 0], real[:, 1]], c[self.of]) if len(real) else nobody(a)
        return None if found is None else (real[:, 0][found[0]], found[1]), nobody(a)

    def reads(self) -> frozenset[str]:
        """The lists, and what stands on them."""
        return frozenset({self.key, self.of})
