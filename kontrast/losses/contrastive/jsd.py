"""Jensen-Shannon bound on mutual information: softplus of positives and of negatives."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.negatives import negative_weights
from kontrast.losses.tile_weights import Weights


class JSD(ContrastiveLoss):
    """Jensen-Shannon bound on mutual information: softplus of positives and of negatives.

    Take it for local against global embeddings, such as nodes against graphs (InfoGraph, MVGRL), with the inner product
    as kernel. `InfoNCE` is the tighter bound if batches are large. The value is 0 if all similarities are 0.

    The papers average over all pairs of the batch: the same wherever all anchors have equally many positives and
    negatives.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Equation:
        L_i = sum_j P_ij softplus(-S_ij) / sum P + sum_j N_ij softplus(S_ij) / sum N - 2 log 2, N = Q (1 - P)

    Reference:
        InfoGraph arXiv:1908.01000; MVGRL arXiv:2006.05582; f-GAN arXiv:1606.00709.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=JSD(), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # softplus(-1) + softplus(0) - 2 log 2
        -0.3799
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "dot"}

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        N, up = negative_weights(positives, candidates), F.softplus(similarity)
        pull = positives.dot(up - similarity) / positives.sum().clamp_min(1e-12)
        return pull + N.dot(up) / N.sum().clamp_min(1e-12) - 2 * math.log(2)
