"""Soft nearest neighbour: negative log-chance of picking a neighbour of one's own class."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SoftNearestNeighbour(LossModule):
    """Soft nearest neighbour: negative log-chance of picking a neighbour of one's own class.

    Works on embeddings without normalisation. Serves as a loss, and as a measure of how entangled classes are.

    Args:
        temperature: Above 0, in squared distance; 1 by default.
        reduction: "mean" over the anchors that have a positive (default), "sum", or "none" (one number per anchor, 0
            without a positive).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,).

    Equation:
        L_i = log sum_{k != i} e^(-|z_i - z_k|^2 / temperature) - log sum_p e^(-|z_i - z_p|^2 / temperature), p the
        other rows of i's class.

    Reference:
        Frosst et al. 2019, arXiv:1902.01889.

    Example:
        >>> z = torch.tensor([[0.0], [0.0], [1.0]])
        >>> round(SoftNearestNeighbour()(z, torch.tensor([0, 0, 1])).item(), 4)  # log(1 + 1 / e)
        0.3133
    """

    compared: ClassVar[int | None] = 1

    def __init__(self, *, temperature: float = 1.0, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = temperature

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.soft_nearest_neighbour(z, labels, temperature=self.temperature))
