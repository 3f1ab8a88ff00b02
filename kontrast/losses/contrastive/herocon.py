"""Softmax of each positive alone against the negatives, averaged over pairs."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum
from kontrast.losses.engine.negatives import negative_weights
from kontrast.losses.tile_weights import Weights


class HeroCon(ContrastiveLoss):
    """Softmax of each positive alone against the negatives, averaged over pairs.

    Take it with several positives per anchor that must not compete with one another, or with graded positives
    (`LabelColumn`). `InfoNCE` lets positives compete. With one positive per anchor both are equal. With P of 0 and 1 it
    is the NT-Xent loss of pytorch-metric-learning.

    P scales the positive's own e^S, as the Hamming weights of HeroCon do; the paper's constant log(1 + negatives) is
    left out.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Equation:
        L_ij = log(1 + sum_k N_ik e^S_ik / (P_ij e^S_ij)), N = Q (1 - P); L_i is its mean over positives j, and the mean
        over anchors weighs each by its number of positives.

    Reference:
        Zheng et al. 2022, "Contrastive learning with complex heterogeneity", KDD.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=HeroCon(), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # log(1 + 1 / e)
        0.3133
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 0.1}

    def counted(self, positives: Weights, candidates: Weights) -> Tensor:
        """Number of positives of each anchor, shape (l, n): pairs are averaged, not anchors."""
        return positives.count()

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Mean loss of each anchor's positive pairs, shape (l, n)."""
        against = log_sum(similarity, negative_weights(positives, candidates))[..., None]
        if positives.at is None:
            P = positives.dense().to(similarity.dtype)
            pulls = P > 0
            # Where nothing attracts, a logit of its own keeps infinities out of the gradient.
            own = torch.where(pulls, similarity + P.clamp_min(torch.finfo(P.dtype).tiny).log(), against)
            lost = torch.where(pulls, F.softplus(against - own), 0).sum(-1)
        else:
            i, j = (side[positives.values > 0] for side in positives.at)
            own = similarity[:, i, j] + positives.values[positives.values > 0].log()
            lost = torch.zeros_like(against[..., 0]).index_add(-1, i, F.softplus(against[:, i, 0] - own))
        return lost / positives.count().clamp_min(1)
