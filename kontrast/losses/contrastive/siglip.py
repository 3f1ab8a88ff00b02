"""SigLIP: every pair is a yes-or-no question of its own, without a softmax over the batch."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import repel, repelled_
from kontrast.losses.engine.tile_weights import Weights


class SigLIP(ContrastiveLoss):
    """L_i = sum_j P_ij softplus(-(S_ij + b)) + N_ij softplus(S_ij + b), N = Q (1 - P): SigLIP (arXiv:2303.15343).

    A sum over the candidates, then the mean over anchors, as in the paper's algorithm 1; a mean over pairs would be
    smaller by the number of candidates. The temperature is the kernel's (the paper begins at 1/10, learnable); the
    bias is this loss's, -10 at first, so that the many negatives of the first steps weigh little.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": {"name": "cosine", "learnable": True}, "temperature": 0.1}

    def __init__(self, *, bias: float = -10.0, learnable: bool = True) -> None:
        super().__init__()
        bias = input_checks.number(bias, "sigmoid: bias")
        if learnable:
            self.bias = nn.Parameter(torch.tensor(float(bias)))
        else:
            self.register_buffer("bias", torch.tensor(float(bias)))

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above; softplus(-x) is softplus(x) - x."""
        x, P, N = similarity + self.bias, attract.dense(), repel(attract, among).dense()
        return ((P + N) * F.softplus(x) - P * x).sum(-1)

    def slope(self, similarity: Tensor, attract: Weights, among: Weights, weight: Tensor) -> tuple[Tensor, ...]:
        """dL_i/dS_ij = (P_ij + N_ij) sigmoid(S_ij + b) - P_ij."""
        x = similarity.add_(self.bias.detach())
        each = F.softplus(x)
        pulled = attract.dot(each) - attract.dot(x)
        each = pulled + repelled_(each, attract, among).sum(-1)
        if attract.at is None:
            P = attract.dense()
            d = x.sigmoid_().mul_(repel(attract, among).dense().add_(P)).sub_(P)
        else:
            d, at = x.sigmoid_(), attract.at
            pull = attract.values * (d[:, *at] - 1)
            repelled_(d, attract, among)[:, *at] += pull
        d_bias = [(d.sum(-1) * weight).sum()] if isinstance(self.bias, nn.Parameter) else []
        return each, d, weight, *d_bias
