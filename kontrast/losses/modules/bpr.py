"""BPR (Bradley-Terry): the score of the chosen item must exceed that of the rejected one."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class BPR(LossModule):
    """BPR (Bradley-Terry): the score of the chosen item must exceed that of the rejected one.

    For recommenders and reward models.

    Args:
        margin: By how much the chosen score must exceed the rejected one; 0 by default, as in the paper.
        reduction: "mean" over the pairs (default), "sum", or "none" (one number per pair).
        gather: Average over the pairs of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        chosen and rejected (N,): scores of the two items of each pair.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.bpr(chosen, rejected, margin=self.margin))
