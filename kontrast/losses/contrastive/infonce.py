"""Softmax cross-entropy over the candidates, with the positives as targets."""

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum, mean
from kontrast.losses.tile_weights import Weights


class InfoNCE(ContrastiveLoss):
    """Softmax cross-entropy over the candidates, with the positives as targets.

    The default of contrastive learning. The relation makes it NT-Xent, CLIP, SupCon with the sum outside the logarithm,
    GenSCL or the loss of MoCo. It needs many negatives: for small batches take `SigLIP` or the relation `SameKey(...,
    apart=True)` (decoupled contrast); if one of several positives is enough, `SupConInside`.

    The value is the plain mean over anchors that have a positive. No temperature factor is divided out: the authors'
    code of SupCon and GenSCL multiplies by temperature / 0.07.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Equation:
        L_i = log sum_k Q_ik e^S_ik - sum_j P_ij S_ij / sum_j P_ij

    Reference:
        van den Oord et al. 2018, arXiv:1807.03748; SimCLR arXiv:2002.05709; CLIP arXiv:2103.00020; SupCon
        arXiv:2004.11362; GenSCL arXiv:2206.00384; MoCo arXiv:1911.05722.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=InfoNCE(), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # log(e + 1) - 1
        0.3133
    """

    softmax = True

    def counted(self, positives: Weights, candidates: Weights) -> Tensor:
        """Anchors with a positive and a candidate, shape (l, n)."""
        return (positives.sum() > 0) & (candidates.sum() > 0)

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        return log_sum(similarity, candidates) - mean(similarity, positives)

    def chance(self, positives: Weights, candidates: Weights) -> Tensor:
        """Logarithm of the candidates' total weight, shape (l, n)."""
        return candidates.sum().clamp_min(1e-12).log()

    def slope(self, similarity: Tensor, positives: Weights, candidates: Weights, weight: Tensor) -> tuple[Tensor, ...]:
        """Losses and gradient dL_i/dS_ij = softmax_ij - P_ij / sum P_i, in one buffer."""
        share = 1 / positives.sum().clamp_min(1e-12)
        pull = positives.dot(similarity) * share
        e, top = candidates.exp_(similarity, candidates.bound)
        tiny = torch.finfo(e.dtype).tiny
        if positives.at is None:
            mass = e.sum(-1).clamp_min(tiny)
            e.addcmul_(positives.dense().to(e.dtype), (share * mass)[..., None], value=-1)
        else:  # positives apart: p - P would cancel, and at p = 1 leave only rounding
            i, j = positives.at
            drawn = e[:, i, j]
            e[:, i, j] = 0
            others = e.sum(-1)
            drawn_sum = torch.zeros_like(others).index_add(-1, i, drawn)
            mass = (others + drawn_sum).clamp_min(tiny)
            share = share.expand_as(others)
            listed, rest = (share * drawn_sum)[:, i], (share * others)[:, i]
            e[:, i, j] = (drawn - positives.values * listed) - positives.values * rest
        return (mass.log() + top.squeeze(-1)) - pull, e, weight / mass
