"""SimSiam: negative cosine of a prediction and the other view's projection, without its gradient."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SimSiam(LossModule):
    """SimSiam: negative cosine of a prediction and the other view's projection, without its gradient.

    BYOL without a momentum encoder. Call it in both directions, each view predicting the other, and average the two.

    Args:
        reduction: "mean" over the rows (default), "sum", or "none" (one number per row).
        gather: Average over the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        prediction and projection (N, D): row k of both is sample k.

    Equation:
        L_k = -cos(p_k, sg(z_k)), p the prediction, z the projection, sg no gradient.

    Reference:
        Chen & He 2021, arXiv:2011.10566.

    Example:
        >>> SimSiam()(torch.eye(2), torch.eye(2))
        tensor(-1.)
    """

    def __init__(self, *, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)

    def forward(self, prediction: Tensor, projection: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.simsiam(prediction, projection))
