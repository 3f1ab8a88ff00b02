"""Positives are the rows on an anchor's own list."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, equal, nobody


@dataclass(frozen=True)
class Neighbours(Relation):
    """Positives are the rows on an anchor's own list.

    Take it for edges of a graph, meta-paths, nearest neighbours (`losses.engine.nearest_neighbours`) or chosen
    positives (`losses.engine.positives`, `of="row"`). A list is one-way: j on i's list is a positive of i. A sample is
    its own positive only if it is listed; otherwise `SameKey("id") | Neighbours(...)`.

    Args:
        key: Anchors' key (N, K) of numbers, padded with -1.
        of: Candidates' key that is listed; "id" by default, "row" for a view of a sample.

    Equation:
        P_ij = [of_j in key_i], Q_ij = 1

    Reference:
        HeCo, arXiv:2105.09111.

    Example:
        >>> anchors, candidates = {"edges": torch.tensor([[[1, 2]], [[0, -1]]])}, {"id": torch.arange(3)}
        >>> Neighbours("edges").weights(anchors, candidates)[0].int().tolist()
        [[0, 1, 1], [1, 0, 0]]
    """

    key: str
    of: str = "id"

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """1 for listed rows, entry by entry, so that no third axis is held; all candidates."""
        listed = torch.zeros_like(c[self.of], dtype=torch.bool)
        for at in a[self.key].unbind(-1):
            listed = listed | ((at == c[self.of]) & (at != -1))
        return listed, None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Listed pairs; every row is a candidate."""
        lists = a[self.key]
        real = (lists != -1).nonzero()
        found = equal(lists[real[:, 0], real[:, 1]], c[self.of]) if len(real) else nobody(a)
        return None if found is None else (real[:, 0][found[0]], found[1]), nobody(a)

    def reads(self) -> frozenset[str]:
        """Names of the list and of what is listed."""
        return frozenset({self.key, self.of})
