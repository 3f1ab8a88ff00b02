"""Contrastive loss with a margin: rows of one label coincide, others keep a distance."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class PairMargin(LossModule):
    """Contrastive loss with a margin: rows of one label coincide, others keep a distance.

    The oldest contrastive loss: simple, but pairs beyond the margin teach nothing.

    Args:
        margin: Distance on the sphere (at most 2) beyond which a pair of different labels costs nothing; 1 by default.
        near: Distance within which a pair of one label costs nothing; 0 by default.
        power: Exponent; 2 as in the paper, 1 in pytorch-metric-learning, which averages only the pairs that cost
            something.
        reduction: "mean" over the anchors that have a positive (default), "sum", or "none" (one number per anchor, 0
            without a positive).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,). Normalised here.

    Equation:
        L_i = mean_p [d_ip - near]+^power + mean_n [margin - d_in]+^power, d the distance of the unit vectors.

    Reference:
        Hadsell, Chopra, LeCun 2006, "Dimensionality reduction by learning an invariant mapping", CVPR.

    Example:
        >>> z = torch.eye(2)[[0, 0, 1]]
        >>> round(PairMargin(margin=2.0)(z, torch.tensor([0, 0, 1])).item(), 4)  # (2 - sqrt 2)^2
        0.3431
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        margin: float = 1.0,
        near: float = 0.0,
        power: float = 2.0,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.margin, self.near, self.power = margin, near, power

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.pair_margin(z, labels, margin=self.margin, near=self.near, power=self.power))
