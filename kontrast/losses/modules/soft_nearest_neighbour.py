"""Soft nearest neighbour: -log of the chance to pick one's own class among neighbours by distance."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SoftNearestNeighbour(LossModule):
    """Soft nearest neighbour: -log of the chance to pick one's own class among neighbours by distance.

    On embeddings as they are. A measure of how entangled classes are, and a loss.

    Args:
        temperature: Above 0, in squared distance.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N,).

    Equation:
        L_i = log sum_{k != i} e^(-|z_i - z_k|^2 / temperature) - log sum_p e^(-|z_i - z_p|^2 / temperature).

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
        """(N, D) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.soft_nearest_neighbour(z, labels, temperature=self.temperature))
