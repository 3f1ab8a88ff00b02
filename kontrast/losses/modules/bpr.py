"""BPR, Bradley-Terry: the chosen one's score must beat the rejected one's."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class BPR(LossModule):
    """BPR, Bradley-Terry: the chosen one's score must beat the rejected one's.

    For recommenders and reward models.

    Args:
        margin: By how much.
        reduction: "mean" over the pairs, "sum" of them, or "none" (one number per pair).
        gather: Mean over the pairs of all processes, where torch.distributed runs.

    Shape:
        chosen and rejected (N,), scores.

    Equation:
        L = -log sigmoid(s_chosen - s_rejected - margin).

    Reference:
        Rendle et al. 2009, arXiv:1205.2618.

    Example:
        >>> BPR()(torch.tensor([2.0, 0.5]), torch.tensor([1.0, 1.0]))
        tensor(0.6437)
    """

    compared: ClassVar[int | None] = 0

    def __init__(self, *, margin: float = 0.0, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.margin = margin

    def forward(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """(N,) twice -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.bpr(chosen, rejected, margin=self.margin))
