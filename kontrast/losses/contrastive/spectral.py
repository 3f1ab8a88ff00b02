"""Spectral contrastive loss: squared similarity of negatives, linear reward of positives."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, mean
from kontrast.losses.engine.negatives import negative_weights
from kontrast.losses.tile_weights import Weights


class Spectral(ContrastiveLoss):
    """Spectral contrastive loss: squared similarity of negatives, linear reward of positives.

    Take it for theory, or if embeddings must factorise the graph of positive pairs. `InfoNCE` is the safer choice in
    practice. Use the kernel `dot`: the loss itself bounds the length of rows. The value may be negative. The gradient
    grows with the cube of that length; from some thousands on float16 overflows.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Equation:
        L_i = -2 sum_j P_ij S_ij / sum P + sum_j N_ij S_ij^2 / sum N, N = Q (1 - P)

    Reference:
        HaoChen et al. 2021, arXiv:2106.04156.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=Spectral(), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # -2 * 1 + 0
        -2.0
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "dot"}

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        return mean(similarity.square(), negative_weights(positives, candidates)) - 2 * mean(similarity, positives)
