"""Rank-N-Contrast: distances of embeddings follow the order of a numeric target."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class RankNContrast(LossModule):
    """Rank-N-Contrast: distances of embeddings follow the order of a numeric target.

    For regression (an age, a dose). For classes take `SupCon`.

    Args:
        temperature: Above 0; 2 as in the paper.
        reduction: "mean" over the anchors that have a positive (default), "sum", or "none" (one number per anchor, 0
            without a positive).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D), not normalised, and targets (N,); rows with target NaN are left out.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.rnc(z, targets, temperature=self.temperature))
