"""Softmax over the candidates with the sum over positives inside the logarithm."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum
from kontrast.losses.tile_weights import Weights


class SupConInside(ContrastiveLoss):
    """Softmax over the candidates with the sum over positives inside the logarithm.

    One good positive is enough; the others may stay far. Take it for noisy or multiple possible positives (a bag of
    narrations, a heterogeneous graph). To draw all positives close, take `InfoNCE`, which the SupCon paper recommends.
    With one positive per anchor both are equal. The sum is also HeCo's co-contrast, MIL-NCE, soft nearest neighbour
    (kernel `Distance`) and what solo-learn calls SupCon.

    Args:
        mean: Mean over positives instead of their sum, as in equation 3 of SupCon. False by default.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Equation:
        L_i = log sum_k Q_ik e^S_ik - log sum_j P_ij e^S_ij

    Reference:
        SupCon arXiv:2004.11362; HeCo arXiv:2105.09111; MIL-NCE arXiv:1912.06430; soft nearest neighbour
        arXiv:1902.01889.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=SupConInside(), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # one positive: as InfoNCE
        0.3133
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 0.1}

    def __init__(self, *, mean: bool = False) -> None:
        super().__init__()
        self.mean = mean

    def counted(self, positives: Weights, candidates: Weights) -> Tensor:
        """Anchors with a positive and a candidate, shape (l, n)."""
        return (positives.sum() > 0) & (candidates.sum() > 0)

    def chance(self, positives: Weights, candidates: Weights) -> Tensor:
        """Logarithm of the candidates' weight, over the positives' if those are summed."""
        among_all = candidates.sum().clamp_min(1e-12).log()
        return among_all if self.mean else among_all - positives.sum().clamp_min(1e-12).log()

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        pulled = log_sum(similarity, positives)
        if self.mean:
            pulled = pulled - positives.sum().clamp_min(torch.finfo(similarity.dtype).tiny).log()
        return log_sum(similarity, candidates) - pulled
