"""SimSiam: the negative cosine of a prediction and the other view's projection, which takes no gradient."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SimSiam(LossModule):
    """SimSiam: the negative cosine of a prediction and the other view's projection, which takes no gradient.

    BYOL without a momentum encoder. Take it both ways, each weighed 1/2.

    Args:
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        prediction (N, D) and projection (N, D), row k of each the same sample.

    Equation:
        L_k = -cos(p_k, sg(z_k)).

    Reference:
        Chen & He 2021, arXiv:2011.10566.

    Example:
        >>> SimSiam()(torch.eye(2), torch.eye(2))
        tensor(-1.)
    """

    def __init__(self, *, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)

    def forward(self, prediction: Tensor, projection: Tensor) -> Tensor:
        """(N, D) twice -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.simsiam(prediction, projection))
