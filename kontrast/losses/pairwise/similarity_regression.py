"""Squared error of similarities: 1 for positives and 0 for negatives."""

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import negative_weights
from kontrast.losses.tile_weights import Weights


class SimilarityRegression(ContrastiveLoss):
    """Squared error of similarities: 1 for positives and 0 for negatives.

    The building block of Barlow Twins and of VICReg's covariance term, with features as rows and the inner product as
    kernel. Seldom a loss of its own: for embeddings take `Spectral` or `InfoNCE`. Every anchor counts, with or without
    a positive.

    Args:
        off: Weight of negatives, at least 0. Default 1; Barlow Twins has 0.005.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: `off` is below 0.

    Equation:
        L_i = sum_j P_ij (1 - S_ij)^2 + off sum_j N_ij S_ij^2, N = Q (1 - P)

    Reference:
        Barlow Twins arXiv:2103.03230; VICReg arXiv:2105.04906.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=SimilarityRegression(), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 0]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # anchors 0 and 1: 0 + 1, anchor 2: 2
        1.3333
    """

    def __init__(self, *, off: float = 1.0) -> None:
        super().__init__()
        self.off = input_checks.number(off, "similarity_regression: off", least=0)

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        return positives.dot((1 - similarity).square()) + self.off * negative_weights(positives, candidates).dot(
            similarity.square()
        )

    def counted(self, positives: Weights, candidates: Weights) -> Tensor:
        """Ones, shape (l, n): every anchor counts."""
        return torch.ones_like(positives.sum())

    def slope(self, similarity: Tensor, positives: Weights, candidates: Weights, weight: Tensor) -> tuple[Tensor, ...]:
        """Losses and gradient dL_i/dS_ij = 2 off N_ij S_ij - 2 P_ij (1 - S_ij)."""
        each, P = self.per_anchor(similarity, positives, candidates), positives.dense()
        d = (self.off * negative_weights(positives, candidates).dense()).add_(P).mul_(similarity).sub_(P).mul_(2)
        return each, d, weight
