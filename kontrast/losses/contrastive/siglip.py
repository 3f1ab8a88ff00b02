"""Sigmoid loss: every pair is a binary question, without a softmax over the batch."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import negative_weights, scale_by_negatives_
from kontrast.losses.tile_weights import Weights


class SigLIP(ContrastiveLoss):
    """Sigmoid loss: every pair is a binary question, without a softmax over the batch.

    Take it for two aligned modalities, above all at small or very uneven batches; `InfoNCE` is usually better with
    large ones. The temperature belongs to the kernel (0.1 at first, learnable, as in the paper).

    Args:
        bias: Added to every similarity; -10 as in the paper and in open_clip, so that the many negatives of the first
            steps weigh little.
        learnable: Whether the bias is a parameter; True as in the paper.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: `bias` is no finite number.

    Equation:
        L_i = sum_j P_ij softplus(-(S_ij + b)) + N_ij softplus(S_ij + b), N = Q (1 - P): a sum over candidates and a
        mean over anchors, as in the paper's algorithm 1.

    Reference:
        Zhai et al. 2023, arXiv:2303.15343.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=SigLIP(bias=0.0), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # softplus(-1) + softplus(0)
        1.0064
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": {"name": "cosine", "learnable": True}, "temperature": 0.1}

    def __init__(self, *, bias: float = -10.0, learnable: bool = True) -> None:
        super().__init__()
        bias = input_checks.number(bias, "siglip: bias")
        if learnable:
            self.bias = nn.Parameter(torch.tensor(float(bias)))
        else:
            self.register_buffer("bias", torch.tensor(float(bias)))

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n); softplus(-x) is softplus(x) - x."""
        x, P, N = similarity + self.bias, positives.dense(), negative_weights(positives, candidates).dense()
        return ((P + N) * F.softplus(x) - P * x).sum(-1)

    def slope(self, similarity: Tensor, positives: Weights, candidates: Weights, weight: Tensor) -> tuple[Tensor, ...]:
        """Losses and gradient dL_i/dS_ij = (P_ij + N_ij) sigmoid(S_ij + b) - P_ij."""
        x = similarity.add_(self.bias.detach())
        each = F.softplus(x)
        pulled = positives.dot(each) - positives.dot(x)
        each = pulled + scale_by_negatives_(each, positives, candidates).sum(-1)
        if positives.at is None:
            P = positives.dense()
            d = x.sigmoid_().mul_(negative_weights(positives, candidates).dense().add_(P)).sub_(P)
        else:
            d, at = x.sigmoid_(), positives.at
            pull = positives.values * (d[:, *at] - 1)
            scale_by_negatives_(d, positives, candidates)[:, *at] += pull
        d_bias = [(d.sum(-1) * weight).sum()] if isinstance(self.bias, nn.Parameter) else []
        return each, d, weight, *d_bias
