"""The softmax over the candidates with its sum over the positives inside the logarithm."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum
from kontrast.losses.engine.tile_weights import Weights


class SupConInside(ContrastiveLoss):
    """L_i = log sum_k Q_ik e^S_ik - log sum_j P_ij e^S_ij: one good positive is enough, the others may lie far.

    `mean` takes the mean over positives instead of their sum: L_in of SupCon (arXiv:2004.11362, equation 3). The sum
    is HeCo's co-contrast (arXiv:2105.09111), MIL-NCE (arXiv:1912.06430), soft nearest neighbour (arXiv:1902.01889,
    with the kernel `Distance`), and what solo-learn calls SupCon. With one positive it is `Infonce`; with several its
    optimum is another one: `Infonce`, with the sum outside, wants all positives close and is what the SupCon paper
    recommends.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 0.1}

    def __init__(self, *, mean: bool = False) -> None:
        super().__init__()
        self.mean = mean

    def counted(self, attract: Weights, among: Weights) -> Tensor:
        """Anchors with a positive and a candidate."""
        return (attract.sum() > 0) & (among.sum() > 0)

    def chance(self, attract: Weights, among: Weights) -> Tensor:
        """The logarithm of the candidates' weight over the positives'."""
        among_all = among.sum().clamp_min(1e-12).log()
        return among_all if self.mean else among_all - attract.sum().clamp_min(1e-12).log()

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above."""
        pulled = log_sum(similarity, attract)
        if self.mean:
            pulled = pulled - attract.sum().clamp_min(torch.finfo(similarity.dtype).tiny).log()
        return log_sum(similarity, among) - pulled
