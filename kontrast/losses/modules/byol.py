"""BYOL: the prediction from one view matches the target embedding of the other view."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class BYOL(LossModule):
    """BYOL: the prediction from one view matches the target embedding of the other view.

    Needs no negatives. Targets come from a momentum encoder (a slowly following copy of the encoder) and get no
    gradient. Call it in both directions, each view predicting the other, and add the two.

    Args:
        reduction: "mean" over the rows (default), "sum", or "none" (one number per row).
        gather: Average over the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        prediction and target (N, D): row k of both is sample k.

    Equation:
        L_k = 2 - 2 cos(p_k, sg(t_k)), p the prediction, t the target, sg no gradient.

    Reference:
        Grill et al. 2020, arXiv:2006.07733.

    Example:
        >>> BYOL()(torch.eye(2), torch.eye(2).flip(0))
        tensor(2.)
    """

    def __init__(self, *, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.byol(prediction, target))
