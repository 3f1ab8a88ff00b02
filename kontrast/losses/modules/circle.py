"""Circle loss: pulls or pushes each pair harder the further it is from its target."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class Circle(LossModule):
    """Circle loss: pulls or pushes each pair harder the further it is from its target.

    A pair loss with few settings: one margin sets the goals of positives and of negatives.

    Args:
        margin: The cosine should be above 1 - margin for the same label and below margin otherwise; 0.25 as in the
            paper (0.4 in pytorch-metric-learning).
        scale: Sharpness; 256 as in the paper (80 in pytorch-metric-learning).
        reduction: "mean" over the anchors that have a positive and a negative (default), "sum", or "none" (one number
            per anchor, 0 for the others).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,); -1 marks an unknown label. Embeddings are compared by cosine.

    Equation:
        L_i = log(1 + sum_n e^(g a_n (S_n - m)) sum_p e^(-g a_p (S_p - 1 + m))), a_p = [1 + m - S_p]+, a_n = [S_n + m]+,
        S the cosine, m the margin, g the scale.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.circle(z, labels, margin=self.margin, scale=self.scale))
