"""InfoNCE: softmax cross-entropy over the candidates towards whoever attracts."""

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum, mean
from kontrast.losses.engine.tile_weights import Weights


class InfoNCE(ContrastiveLoss):
    """L_i = log sum_k Q_ik e^S_ik - sum_j P_ij S_ij / sum_j P_ij, with P who attracts and Q who is among the
    candidates.

    By its relation it is NT-Xent (arXiv:2002.05709), CLIP (arXiv:2103.00020), SupCon with the sum outside
    (arXiv:2004.11362), GenSCL (arXiv:2206.00384), MoCo's loss (arXiv:1911.05722). First in arXiv:1807.03748. No
    temperature factor is divided out: the value is the plain mean over anchors that have a positive.
    """

    softmax = True

    def counted(self, attract: Weights, among: Weights) -> Tensor:
        """Anchors with a positive and a candidate; where positives are kept apart, there may be none."""
        return (attract.sum() > 0) & (among.sum() > 0)

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above."""
        return log_sum(similarity, among) - mean(similarity, attract)

    def chance(self, attract: Weights, among: Weights) -> Tensor:
        """The logarithm of the candidates' weight."""
        return among.sum().clamp_min(1e-12).log()

    def slope(self, similarity: Tensor, attract: Weights, among: Weights, weight: Tensor) -> tuple[Tensor, ...]:
        """dL_i/dS_ij = softmax_ij - P_ij / sum P_i, in one buffer."""
        share = 1 / attract.sum().clamp_min(1e-12)
        pull = attract.dot(similarity) * share
        e, top = among.exp_(similarity, among.bound)
        tiny = torch.finfo(e.dtype).tiny
        if attract.at is None:
            mass = e.sum(-1).clamp_min(tiny)
            e.addcmul_(attract.dense().to(e.dtype), (share * mass)[..., None], value=-1)
        else:  # the attracted apart: p - P would cancel, and at p = 1 leave nothing but rounding
            i, j = attract.at
            drawn = e[:, i, j]
            e[:, i, j] = 0
            others = e.sum(-1)
            drawn_sum = torch.zeros_like(others).index_add(-1, i, drawn)
            mass = (others + drawn_sum).clamp_min(tiny)
            share = share.expand_as(others)
            e[:, i, j] = (drawn - attract.values * (share * drawn_sum)[:, i]) - attract.values * (share * others)[:, i]
        return (mass.log() + top.squeeze(-1)) - pull, e, weight / mass
