"""Contrastive with a margin: pairs that belong together are pulled to one point, others pushed to a distance."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, mean
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import repel
from kontrast.losses.engine.tile_weights import Weights


class PairMargin(ContrastiveLoss):
    """L_i = mean_p [d_ip - near]+^power + mean_n [margin - d_in]+^power, d the distance, p attract and n repel.

    The contrastive loss of Hadsell, Chopra and LeCun 2006 (CVPR 2006), whose power is 2; the oldest of all. Means over
    positives and over negatives apart, so that the many negatives do not drown the few positives; an anchor without
    negatives has only the first. `sphere` takes S for a cosine (kernel temperature 1) and d^2 = 2 - 2 S, at most 2;
    without it S is -d^2 (kernel `Distance`, temperature 1). There is no slope at d = 0.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 1.0}

    def __init__(self, *, margin: float = 1.0, near: float = 0.0, power: float = 2.0, sphere: bool = True) -> None:
        super().__init__()
        self.margin = margin = input_checks.number(margin, "pair_margin: margin", above=0)
        self.near = input_checks.number(near, "pair_margin: near", least=0, below=margin, hint=", the margin")
        self.power = input_checks.number(power, "pair_margin: power", least=1)
        self.sphere = input_checks.flag(sphere, "pair_margin: sphere")

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above."""
        square = 2 - 2 * similarity if self.sphere else -similarity
        d = square.clamp_min(1e-12).sqrt()
        pull, push = (d - self.near).clamp_min(0), (self.margin - d).clamp_min(0)
        return mean(pull**self.power, attract) + mean(push**self.power, repel(attract, among))
