"""Weighs candidates so that every class counts the same."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class Balanced(Relation):
    """Weighs candidates so that every class counts the same.

    Take it for long-tailed labels, as `SameKey("label") & Balanced()`; with even classes it only rescales the loss.

    Args:
        label: Key of the class; "label" by default.
        count: Key of the size of a row's class among all candidates (`losses.engine.class_counts`).
        itself: Whether anchors are among the candidates, so that their own class has one row less. False for a queue or
            another modality.

    Equation:
        P_ij = 1, Q_ij = 1 / max(1, count_j - itself [label_i = label_j])

    Reference:
        Balanced contrastive learning, Zhu et al. 2022, arXiv:2207.09052.

    Example:
        >>> anchors = {"label": torch.tensor([[0]])}
        >>> candidates = {"label": torch.tensor([0, 0, 0, 1]), "count": torch.tensor([3.0, 3.0, 3.0, 1.0])}
        >>> Balanced().weights(anchors, candidates)[1].tolist()
        [[0.5, 0.5, 0.5, 1.0]]
    """

    label: str = "label"
    count: str = "count"
    itself: bool = True

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Ones, and 1 / class size (less the anchor itself)."""
        same = a[self.label] == c[self.label]
        return torch.ones_like(same), 1 / (c[self.count] - self.itself * same.to(c[self.count].dtype)).clamp_min(1)

    def reads(self) -> frozenset[str]:
        """Names of the class and the count."""
        return frozenset({self.label, self.count})
