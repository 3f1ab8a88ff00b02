"""Jensen-Shannon bound on the mutual information of two sides, by inner products."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class JSD(LossModule):
    """Jensen-Shannon bound on the mutual information of two sides, by inner products.

    The loss of InfoGraph and MVGRL; steadier than `InfoNCE` with few negatives.

    Args:
        reduction: "mean" over the rows (default), "sum", or "none" (one number per row).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Two tensors (N, D): row k of one belongs to row k of the other. Compared by inner product, without
        normalisation.

    Equation:
        L_i = softplus(-S_ii) + mean_{j != i} softplus(S_ij) - 2 log 2, S the inner product.

    Reference:
        Nowozin et al. 2016, arXiv:1606.00709; Sun et al. 2020, arXiv:1908.01000.

    Example:
        >>> JSD()(torch.eye(2), torch.eye(2))
        tensor(-0.3799)
    """

    def __init__(self, *, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.jsd(z1, z2))
