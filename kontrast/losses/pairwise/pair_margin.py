"""Contrastive loss with a margin: positives to one point, negatives to a distance."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, mean
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import negative_weights
from kontrast.losses.tile_weights import Weights


class PairMargin(ContrastiveLoss):
    """Contrastive loss with a margin: positives to one point, negatives to a distance.

    The oldest contrastive loss, simple and interpretable; negatives beyond the margin teach nothing. `Triplet` or
    `InfoNCE` usually learn more. Means over positives and over negatives are separate, so that many negatives do not
    drown few positives; an anchor without negatives has the first only. There is no gradient at d = 0.

    Args:
        margin: Distance beyond which a negative costs nothing, above 0; 1 by default, as in pytorch-metric-learning.
        near: Distance within which a positive costs nothing; 0 as in the paper.
        power: 2 as in the paper; 1 as in pytorch-metric-learning.
        sphere: Read S as a cosine (kernel temperature 1), d^2 = 2 - 2 S. False reads S as -d^2 (kernel `Distance`,
            temperature 1).

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: A setting outside its bounds.

    Equation:
        L_i = mean_p [d_ip - near]+^power + mean_n [margin - d_in]+^power, d the distance, p positives, n negatives.

    Reference:
        Hadsell, Chopra & LeCun 2006, "Dimensionality reduction by learning an invariant mapping", CVPR.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=PairMargin(margin=2.0), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # (2 - sqrt 2)^2
        0.3431
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 1.0}

    def __init__(self, *, margin: float = 1.0, near: float = 0.0, power: float = 2.0, sphere: bool = True) -> None:
        super().__init__()
        self.margin = margin = input_checks.number(margin, "pair_margin: margin", above=0)
        self.near = input_checks.number(near, "pair_margin: near", least=0, below=margin, hint=", the margin")
        self.power = input_checks.number(power, "pair_margin: power", least=1)
        self.sphere = input_checks.flag(sphere, "pair_margin: sphere")

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        square = 2 - 2 * similarity if self.sphere else -similarity
        d = square.clamp_min(1e-12).sqrt()
        pull, push = (d - self.near).clamp_min(0), (self.margin - d).clamp_min(0)
        return mean(pull**self.power, positives) + mean(push**self.power, negative_weights(positives, candidates))
