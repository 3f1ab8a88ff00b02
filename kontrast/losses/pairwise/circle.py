"""Circle: every similarity is pulled or pushed the harder the further it is from where it should be."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import repel
from kontrast.losses.engine.tile_weights import Weights


class Circle(ContrastiveLoss):
    """L_i = log(1 + sum_n e^{g a_n (S_n - m)} sum_p e^{-g a_p (S_p - 1 + m)}), a_p = [1 + m - S_p]+, a_n = [S_n + m]+.

    Sun et al. 2020 (arXiv:2002.10857). p attract, n repel; g is `scale`, m `margin`; the a pace the gradient and
    carry none themselves. S is the cosine: give the kernel temperature 1. An anchor without one of each is dropped.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 1.0}

    def __init__(self, *, margin: float = 0.25, scale: float = 256.0) -> None:
        super().__init__()
        self.margin = input_checks.number(margin, "circle: margin", least=0, most=1)
        self.scale = input_checks.number(scale, "circle: scale", above=0)

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above."""
        s, m, fixed = similarity, self.margin, similarity.detach()
        pull = -self.scale * (1 + m - fixed).clamp_min(0) * (s - (1 - m))
        push = self.scale * (fixed + m).clamp_min(0) * (s - m)
        return F.softplus(log_sum(push, repel(attract, among)) + log_sum(pull, attract))

    def counted(self, attract: Weights, among: Weights) -> Tensor:
        """1 with someone on both sides."""
        return (attract.sum() > 0) & (repel(attract, among).sum() > 0)
