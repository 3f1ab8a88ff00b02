"""JSD: the Jensen-Shannon bound on mutual information, attractors and repellers averaged apart."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.negatives import repel
from kontrast.losses.engine.tile_weights import Weights


class JSD(ContrastiveLoss):
    """L_i = sum_j P_ij softplus(-S_ij) / sum P + sum_j N_ij softplus(S_ij) / sum N - 2 log 2, with N = Q (1 - P).

    InfoGraph (arXiv:1908.01000), MVGRL (arXiv:2006.05582), from f-GAN (arXiv:1606.00709). Nodes are anchors, graphs are
    candidates, the kernel is the inner product. The papers average over all pairs of the batch: the same wherever
    all anchors have equally many attractors and repellers, as nodes against graphs do. 0 where nothing is known.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "dot"}

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above."""
        N, up = repel(attract, among), F.softplus(similarity)
        pull = attract.dot(up - similarity) / attract.sum().clamp_min(1e-12)
        return pull + N.dot(up) / N.sum().clamp_min(1e-12) - 2 * math.log(2)
