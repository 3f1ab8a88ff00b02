"""Positives share one of several labels, weighed by all other labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class LabelColumn(Relation):
    """Positives share one of several labels, weighed by all other labels.

    Take it with the loss `HeroCon` for multi-label rows, once per label. `SharedLabels` covers all labels at once.
    Anchors without the label have no positive.

    Args:
        key: Multi-hot key (N, C) of 0 and 1.
        column: Index of the label.

    Equation:
        P_ij = y_i y_j (1 - h_ij / C), Q_ij = y_i (1 - y_j) h_ij; y the label's column, h the Hamming distance of label
        sets.

    Reference:
        HeroCon, Zheng et al. 2022, KDD.

    Example:
        >>> anchors = {"tags": torch.tensor([[[1, 0]]])}
        >>> candidates = {"tags": torch.tensor([[1, 0], [1, 1], [0, 1]])}
        >>> LabelColumn("tags", 0).weights(anchors, candidates)[0].tolist()
        [[1.0, 0.5, 0.0]]
    """

    key: str
    column: int

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Weights of rows that have the label, and of rows that lack it."""
        left, right = a[self.key].float(), c[self.key].float()
        apart = left.sum(-1) + right.sum(-1) - 2 * torch.einsum("...c,...c->...", left, right)
        mine, theirs = left[..., self.column], right[..., self.column]
        return mine * theirs * (1 - apart / left.shape[-1]), mine * (1 - theirs) * apart

    def reads(self) -> frozenset[str]:
        """Name of the key."""
        return frozenset({self.key})
