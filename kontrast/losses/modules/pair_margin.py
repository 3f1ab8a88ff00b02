"""Contrastive with a margin: rows of one label to one point, others at least a margin away."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class PairMargin(LossModule):
    """Contrastive with a margin: rows of one label to one point, others at least a margin away.

    The oldest contrastive loss; simple, and blind to what is beyond the margin.

    Args:
        margin: Distance on the sphere (at most 2) beyond which another label costs nothing.
        near: Distance within which the same label costs nothing.
        power: 2 as in the paper; 1 as in pytorch-metric-learning, which averages the pairs that cost something.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N,); put on the sphere.

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
        """(N, D) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.pair_margin(z, labels, margin=self.margin, near=self.near, power=self.power))
