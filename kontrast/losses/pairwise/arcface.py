"""ArcFace: softmax over class centres, the angle to the own centre enlarged by a margin."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum, mean
from kontrast.losses.engine import input_checks
from kontrast.losses.tile_weights import Weights


class ArcFace(ContrastiveLoss):
    """ArcFace: softmax over class centres, the angle to the own centre enlarged by a margin.

    Take it for recognition with many classes and few rows each; classes must be known and fixed. `CosFace` is simpler
    and more forgiving of noisy labels; `ProxyAnchor` needs fewer classes per batch. The candidates are class centres
    (`layers.proxies`), the relation is `SameKey("label")`, S is the cosine (kernel temperature 1).

    Beyond angle + margin = pi the cosine would rise again; there T continues as scale (S_ij - margin sin margin), as in
    the authors' code. Cosines are kept off 1 by 1e-6, where the gradient is infinite.

    Args:
        margin: Radians, from 0 to pi; 0.5 as in the paper (28.6 degrees, the default of pytorch-metric-learning).
        scale: Inverse temperature; 64 as in the paper.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: A setting outside its bounds.

    Equation:
        L_i = log sum_j Q_ij e^{T_ij} - mean_P T_ij, T_ij = scale cos(angle_ij + margin) for positives, scale S_ij
        otherwise.

    Reference:
        Deng et al. 2019, arXiv:1801.07698.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=ArcFace(margin=0.0, scale=1.0), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # no margin: as InfoNCE, log(e + 1) - 1
        0.3133
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 1.0}

    def __init__(self, *, margin: float = 0.5, scale: float = 64.0) -> None:
        super().__init__()
        turn = ", in radians (math.radians turns degrees into them)"
        self.margin = input_checks.number(margin, "arcface: margin", least=0, below=math.pi, hint=turn)
        self.scale = input_checks.number(scale, "arcface: scale", above=0)

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        cos = similarity.clamp(-1 + 1e-6, 1 - 1e-6)
        turned = cos * math.cos(self.margin) - (1 - cos.square()).sqrt() * math.sin(self.margin)
        beyond = cos - self.margin * math.sin(self.margin)
        turned = torch.where(cos > math.cos(math.pi - self.margin), turned, beyond)
        logits = self.scale * torch.where(positives.dense() > 0, turned, similarity)
        return log_sum(logits, candidates) - mean(logits, positives)
