"""CosFace: softmax cross-entropy, the similarity of positives lowered by a margin."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum, mean
from kontrast.losses.engine import input_checks
from kontrast.losses.tile_weights import Weights


class CosFace(ContrastiveLoss):
    """CosFace: softmax cross-entropy, the similarity of positives lowered by a margin.

    Take it for recognition with many known classes; the candidates are class centres (`layers.proxies`), the relation
    is `SameKey("label")`, S is the cosine (kernel temperature 1). With views or labelled rows as candidates it is
    `InfoNCE` with an additive margin. `ArcFace` puts the margin on the angle. A margin from class frequencies is logit
    adjustment, a weight of candidates: `KeyWeight(prior, what="candidates")`.

    Args:
        margin: Subtracted from the cosine, from 0 to 2; 0.35 as in the paper and in pytorch-metric-learning.
        scale: Inverse temperature; 64 as in the paper and in pytorch-metric-learning.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: A setting outside its bounds.

    Equation:
        L_i = log sum_j Q_ij e^{T_ij} - mean_P T_ij, T_ij = scale (S_ij - margin P_ij)

    Reference:
        Wang et al. 2018, arXiv:1801.09414.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=CosFace(margin=1.0, scale=1.0), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # both logits are 0: log 2
        0.6931
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 1.0}

    def __init__(self, *, margin: float = 0.35, scale: float = 64.0) -> None:
        super().__init__()
        self.margin = input_checks.number(margin, "cosface: margin", least=0, most=2, hint=", of the cosine")
        self.scale = input_checks.number(scale, "cosface: scale", above=0)

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        logits = self.scale * (similarity - self.margin * positives.dense())
        return log_sum(logits, candidates) - mean(logits, positives)
