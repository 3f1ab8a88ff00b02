"""Multi-similarity: the hard pairs are mined, then weighed by softmaxes of their own and of their peers' similarity."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import repel
from kontrast.losses.engine.tile_weights import Weights


class MultiSimilarity(ContrastiveLoss):
    """L_i = log(1 + sum_p e^{-a (S_p - c)}) / a + log(1 + sum_n e^{b (S_n - c)}) / b over mined p and n
    (arXiv:1904.06627).

    a is `pull`, b `push`, c `centre`. An attractor p is kept if S_p < max_n S_n + slack, a repeller n if S_n > min_p
    S_p - slack; slack None keeps all. S is the cosine (temperature 1). c: 1 in the paper, 0.5 in its authors' code
    and here. The mean is over anchors with an attractor; the paper counts the others too.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 1.0}

    def __init__(
        self, *, pull: float = 2.0, push: float = 50.0, centre: float = 0.5, slack: float | None = 0.1
    ) -> None:
        super().__init__()
        self.pull = input_checks.number(pull, "multi_similarity: pull", above=0)
        self.push = input_checks.number(push, "multi_similarity: push", above=0)
        self.centre = input_checks.number(centre, "multi_similarity: centre", least=-1, most=1, hint=", a cosine")
        self.slack = None if slack is None else input_checks.number(slack, "multi_similarity: slack", hint=", or None")

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above."""
        P, N = attract.dense(), repel(attract, among).dense()
        if self.slack is not None:
            fixed = similarity.detach()
            nearest = fixed.masked_fill(N == 0, -torch.inf).amax(-1, keepdim=True)
            farthest = fixed.masked_fill(P == 0, torch.inf).amin(-1, keepdim=True)
            P, N = P * (fixed < nearest + self.slack), N * (fixed > farthest - self.slack)
        near = log_sum(-self.pull * (similarity - self.centre), Weights(attract.shape, P))
        far = log_sum(self.push * (similarity - self.centre), Weights(attract.shape, N))
        return F.softplus(near) / self.pull + F.softplus(far) / self.push
