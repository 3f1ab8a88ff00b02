"""Multi-similarity: mines hard pairs and weighs them by all similarities of the anchor."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import negative_weights
from kontrast.losses.tile_weights import Weights


class MultiSimilarity(ContrastiveLoss):
    """Multi-similarity: mines hard pairs and weighs them by all similarities of the anchor.

    Take it for retrieval with class labels and several rows per class; a strong default of metric learning. For views
    without labels take `InfoNCE`. S is the cosine (kernel temperature 1). The mean is over anchors with a positive; the
    paper counts the others too.

    Args:
        pull: a, sharpness over positives; 2 as in the paper and in pytorch-metric-learning.
        push: b, sharpness over negatives; 50 as in the paper and in pytorch-metric-learning.
        centre: c, the cosine at which pairs count half; 0.5 as in the authors' code and pytorch-metric-learning, 1 in
            the paper.
        slack: Positives p are kept if S_p < max_n S_n + slack, negatives n if S_n > min_p S_p - slack; 0.1 as in the
            paper. None keeps all pairs.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: A setting outside its bounds.

    Equation:
        L_i = log(1 + sum_p e^{-a (S_p - c)}) / a + log(1 + sum_n e^{b (S_n - c)}) / b over mined positives p and
        negatives n.

    Reference:
        Wang et al. 2019, arXiv:1904.06627.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> relation = SameKey("label")
        >>> loss = Contrastive(loss=MultiSimilarity(pull=1.0, push=1.0, slack=None), kernel="dot", relation=relation)
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # 2 log(1 + e^-0.5)
        0.9482
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

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        P, N = positives.dense(), negative_weights(positives, candidates).dense()
        if self.slack is not None:
            fixed = similarity.detach()
            nearest = fixed.masked_fill(N == 0, -torch.inf).amax(-1, keepdim=True)
            farthest = fixed.masked_fill(P == 0, torch.inf).amin(-1, keepdim=True)
            P, N = P * (fixed < nearest + self.slack), N * (fixed > farthest - self.slack)
        near = log_sum(-self.pull * (similarity - self.centre), Weights(positives.shape, P))
        far = log_sum(self.push * (similarity - self.centre), Weights(positives.shape, N))
        return F.softplus(near) / self.pull + F.softplus(far) / self.push
