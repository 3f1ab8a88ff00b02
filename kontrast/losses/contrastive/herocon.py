"""Every positive alone against the negatives, weighed by how alike the labels are."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum
from kontrast.losses.engine.negatives import repel
from kontrast.losses.engine.tile_weights import Weights


class HeroCon(ContrastiveLoss):
    """L_ij = log(1 + sum_k Q_ik e^S_ik / (P_ij e^S_ij)), the mean over all pairs of anchor i and positive j; k runs
    over negatives only.

    Positives do not compete with one another, unlike in `Infonce`; with one positive an anchor both are the same. P
    scales the positive's own e^S, as the Hamming weights of HeroCon do (Zheng et al., KDD 2022; relation `Column`;
    its constant log(1 + negatives) is left out). With P of 0 and 1 it is the NT-Xent of pytorch-metric-learning.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 0.1}

    def counted(self, attract: Weights, among: Weights) -> Tensor:
        """As many times as it has positives: pairs are averaged, not anchors."""
        return attract.count()

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The mean over an anchor's pairs."""
        against = log_sum(similarity, repel(attract, among))[..., None]
        if attract.at is None:
            P = attract.dense().to(similarity.dtype)
            pulls = P > 0
            # Where nothing attracts, a logit of its own keeps infinities out of the gradient.
            own = torch.where(pulls, similarity + P.clamp_min(torch.finfo(P.dtype).tiny).log(), against)
            lost = torch.where(pulls, F.softplus(against - own), 0).sum(-1)
        else:
            i, j = (side[attract.values > 0] for side in attract.at)
            own = similarity[:, i, j] + attract.values[attract.values > 0].log()
            lost = torch.zeros_like(against[..., 0]).index_add(-1, i, F.softplus(against[:, i, 0] - own))
        return lost / attract.count().clamp_min(1)
