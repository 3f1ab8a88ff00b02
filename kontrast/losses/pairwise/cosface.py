"""CosFace: softmax cross-entropy, the similarity to whoever attracts lowered by a margin."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum, mean
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.tile_weights import Weights


class CosFace(ContrastiveLoss):
    """L_i = log sum_j Q_ij e^{T_ij} - mean_P T_ij, T_ij = scale (S_ij - margin P_ij): Wang et al. 2018
    (arXiv:1801.09414).

    S is the cosine (kernel temperature 1), the candidates are class centres (layers/proxies.py), `Same("label")` the
    relation. With views or labelled rows for candidates it is `Infonce` with an additive margin. A margin from class
    frequencies is logit adjustment instead, a weight of candidates: `Weighed(prior, what="among")`.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 1.0}

    def __init__(self, *, margin: float = 0.35, scale: float = 64.0) -> None:
        super().__init__()
        self.margin = input_checks.number(margin, "cosface: margin", least=0, most=2, hint=", of the cosine")
        self.scale = input_checks.number(scale, "cosface: scale", above=0)

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above."""
        logits = self.scale * (similarity - self.margin * attract.dense())
        return log_sum(logits, among) - mean(logits, attract)
