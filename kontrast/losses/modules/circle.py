"""Circle: every pair is pulled or pushed the harder, the further it is from where it should be."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class Circle(LossModule):
    """Circle: every pair is pulled or pushed the harder, the further it is from where it should be.

    Needs little tuning of the margin, which moves both ends at once.

    Args:
        margin: Same label above cosine 1 - margin, others below margin; 0.25 as in the paper (0.4 in
            pytorch-metric-learning).
        scale: Sharpness; 256 as in the paper (80 in pytorch-metric-learning).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N,); compared by cosine.

    Equation:
        L_i = log(1 + sum_n e^(g a_n (S_n - m)) sum_p e^(-g a_p (S_p - 1 + m))), a_p = [1 + m - S_p]+, a_n = [S_n + m]+.

    Reference:
        Sun et al. 2020, arXiv:2002.10857.

    Example:
        >>> Circle(scale=8)(torch.eye(4), torch.tensor([0, 0, 1, 1]))
        tensor(7.6936)
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self, *, margin: float = 0.25, scale: float = 256.0, reduction: Reduction = "mean", gather: bool = True
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.margin, self.scale = margin, scale

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """(N, D) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.circle(z, labels, margin=self.margin, scale=self.scale))
