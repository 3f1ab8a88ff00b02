"""Spectral contrastive: its minimum factorises the graph of who is a view of whom."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, mean
from kontrast.losses.engine.negatives import repel
from kontrast.losses.engine.tile_weights import Weights


class Spectral(ContrastiveLoss):
    """L_i = -2 sum_j P_ij S_ij / sum P + sum_j N_ij S_ij^2 / sum N, with N = Q (1 - P) (HaoChen et al. 2021,
    arXiv:2106.04156).

    Goes with the inner product (kernel `dot`), whose size the loss itself bounds; the value may be negative. The slope
    grows with the cube of the rows' length: from some thousands on float16 has no number for it.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "dot"}

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above."""
        return mean(similarity.square(), repel(attract, among)) - 2 * mean(similarity, attract)
