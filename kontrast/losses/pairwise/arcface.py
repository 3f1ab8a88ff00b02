"""ArcFace: softmax over class centres, the angle to one's own enlarged by a margin."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum, mean
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.tile_weights import Weights


class ArcFace(ContrastiveLoss):
    """L_i = log sum_j Q_ij e^{T_ij} - mean_P T_ij, T = scale cos(angle_ij + margin) where j attracts, scale S_ij
    elsewhere.

    Deng et al. 2019 (arXiv:1801.07698). S is the cosine (kernel temperature 1), the candidates are class centres
    (layers/proxies.py), `Same("label")` the relation. Beyond angle + margin = pi the cosine would rise again: there T
    goes on as scale (S_ij - margin sin margin), as the authors' code does. Cosines are kept off 1 by 1e-6, where the
    slope is infinite.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 1.0}

    def __init__(self, *, margin: float = 0.5, scale: float = 64.0) -> None:
        super().__init__()
        turn = ", in radians (math.radians turns degrees into them)"
        self.margin = input_checks.number(margin, "arcface: margin", least=0, below=math.pi, hint=turn)
        self.scale = input_checks.number(scale, "arcface: scale", above=0)

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above."""
        cos = similarity.clamp(-1 + 1e-6, 1 - 1e-6)
        turned = cos * math.cos(self.margin) - (1 - cos.square()).sqrt() * math.sin(self.margin)
        beyond = cos - self.margin * math.sin(self.margin)
        turned = torch.where(cos > math.cos(math.pi - self.margin), turned, beyond)
        logits = self.scale * torch.where(attract.dense() > 0, turned, similarity)
        return log_sum(logits, among) - mean(logits, attract)
