"""Rank-N-Contrast: for a number as target (an age, a dose) the order of distances follows the order of targets."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class RankNContrast(LossModule):
    """Rank-N-Contrast: for a number as target (an age, a dose) the order of distances follows the order of targets.

    For regression. Classes take `SupCon`.

    Args:
        temperature: Above 0; 2 in the paper.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D), as they are, and targets (N,).

    Equation:
        L_i = mean_{j != i} log sum_k e^(S_ik) - S_ij, k at least as far from i's target as j, S = -|z_i - z_k| /
        temperature.

    Reference:
        Zha et al. 2023, arXiv:2210.01189.

    Example:
        >>> round(RankNContrast()(torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([20.0, 30.0, 60.0])).item(), 4)
        0.2102
    """

    compared: ClassVar[int | None] = 1

    def __init__(self, *, temperature: float = 2.0, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = temperature

    def forward(self, z: Tensor, targets: Tensor) -> Tensor:
        """(N, D) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.rnc(z, targets, temperature=self.temperature))
