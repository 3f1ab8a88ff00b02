"""Regress: similarities are to be 1 where rows attract and 0 elsewhere, squared."""

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import repel
from kontrast.losses.engine.tile_weights import Weights


class SimilarityRegression(ContrastiveLoss):
    """L_i = sum_j P_ij (1 - S_ij)^2 + off sum_j N_ij S_ij^2, with N = Q (1 - P).

    On the feature axis (features are the rows, the inner product the kernel) this is Barlow Twins and the covariance
    term of VICReg. Every anchor counts, attracted or not.
    """

    def __init__(self, *, off: float = 1.0) -> None:
        super().__init__()
        self.off = input_checks.number(off, "regress: off", least=0)

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above."""
        return attract.dot((1 - similarity).square()) + self.off * repel(attract, among).dot(similarity.square())

    def counted(self, attract: Weights, among: Weights) -> Tensor:
        """All."""
        return torch.ones_like(attract.sum())

    def slope(self, similarity: Tensor, attract: Weights, among: Weights, weight: Tensor) -> tuple[Tensor, ...]:
        """dL_i/dS_ij = 2 off N_ij S_ij - 2 P_ij (1 - S_ij)."""
        each, P = self.per_anchor(similarity, attract, among), attract.dense()
        d = (self.off * repel(attract, among).dense()).add_(P).mul_(similarity).sub_(P).mul_(2)
        return each, d, weight
