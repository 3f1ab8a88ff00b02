"""One label out of several: who has it attracts, who lacks it repels, each by how much the other labels differ."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class LabelColumn(Relation):
    """HeroCon's supervised relation for the label in one column of a multi-hot (N, C) key (Zheng et al., KDD 2022).

    With h the Hamming distance of the label sets of two rows: among anchors that have the label, j attracts by 1 -
    h/C if it has it too, and counts by h if it lacks it. Anchors without the label have no positive. Meant for the
    loss `Herocon`.
    """

    key: str
    column: int

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """(both have it) (1 - h/C), (only the anchor has it) h."""
        left, right = a[self.key].float(), c[self.key].float()
        apart = left.sum(-1) + right.sum(-1) - 2 * torch.einsum("...c,...c->...", left, right)
        mine, theirs = left[..., self.column], right[..., self.column]
        return mine * theirs * (1 - apart / left.shape[-1]), mine * (1 - theirs) * apart

    def reads(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})
