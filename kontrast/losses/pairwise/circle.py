"""Circle loss: pulls and pushes each pair in proportion to its distance from the optimum."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import negative_weights
from kontrast.losses.tile_weights import Weights


class Circle(ContrastiveLoss):
    """Circle loss: pulls and pushes each pair in proportion to its distance from the optimum.

    Take it for retrieval with class labels if `Triplet` stalls. It has two sharp settings, so tune `margin` and `scale`
    together. S is the cosine (kernel temperature 1). Anchors without a positive and a negative are dropped.

    Args:
        margin: m, from 0 to 1; 0.25 as in the paper for faces. pytorch-metric-learning has 0.4.
        scale: g; 256 as in the paper for faces. pytorch-metric-learning has 80.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: A setting outside its bounds.

    Equation:
        L_i = log(1 + sum_n e^{g a_n (S_n - m)} sum_p e^{-g a_p (S_p - 1 + m)}), a_p = [1 + m - S_p]+, a_n = [S_n + m]+;
        p positives, n negatives. The factors a carry no gradient.

    Reference:
        Sun et al. 2020, arXiv:2002.10857.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=Circle(scale=1.0), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # softplus(-0.25^2 - 0.25^2)
        0.6326
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 1.0}

    def __init__(self, *, margin: float = 0.25, scale: float = 256.0) -> None:
        super().__init__()
        self.margin = input_checks.number(margin, "circle: margin", least=0, most=1)
        self.scale = input_checks.number(scale, "circle: scale", above=0)

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        s, m, fixed = similarity, self.margin, similarity.detach()
        pull = -self.scale * (1 + m - fixed).clamp_min(0) * (s - (1 - m))
        push = self.scale * (fixed + m).clamp_min(0) * (s - m)
        return F.softplus(log_sum(push, negative_weights(positives, candidates)) + log_sum(pull, positives))

    def counted(self, positives: Weights, candidates: Weights) -> Tensor:
        """Anchors with a positive and a negative, shape (l, n)."""
        return (positives.sum() > 0) & (negative_weights(positives, candidates).sum() > 0)
