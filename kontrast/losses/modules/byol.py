"""BYOL: a prediction is to point where the other view's target does; no negatives."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class BYOL(LossModule):
    """BYOL: a prediction is to point where the other view's target does; no negatives.

    Targets come from a copy of the encoder that follows slowly (a momentum encoder); they get no gradient. Take it both
    ways.

    Args:
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        prediction (N, D) and target (N, D), row k of each the same sample.

    Equation:
        L_k = 2 - 2 cos(p_k, sg(t_k)).

    Reference:
        Grill et al. 2020, arXiv:2006.07733.

    Example:
        >>> BYOL()(torch.eye(2), torch.eye(2).flip(0))
        tensor(2.)
    """

    def __init__(self, *, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N, D) twice -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.byol(prediction, target))
