"""W-MSE: views agree after each view's batch was whitened, which leaves no room for collapse."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class WMSE(LossModule):
    """W-MSE: views agree after each view's batch was whitened, which leaves no room for collapse.

    Wants more rows than the width: narrow embeddings, large batches.

    Args:
        size: Rows whitened together; None for all.
        shrink: How much of the identity is mixed into the covariance; 0 in the paper.
        gather: Statistics over the rows of all processes, where torch.distributed runs.

    Shape:
        Two views (N, D), row k of each the same sample; more rows than D.

    Equation:
        L = mean_k 2 - 2 cos(W x_k, W' y_k), W the inverse Cholesky factor of a view's covariance.

    Reference:
        Ermolov et al. 2021, arXiv:2007.06346.

    Example:
        >>> WMSE()(torch.eye(6)[:, :2], torch.eye(6)[:, 1:3])
        tensor(1.4884)
    """

    def __init__(self, *, size: int | None = None, shrink: float = 1e-3, gather: bool = True) -> None:
        super().__init__(gather=gather)
        self.size, self.shrink = size, shrink

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """(N, D) twice -> a scalar."""
        return self.reduced(lambda: F.wmse(z1, z2, size=self.size, shrink=self.shrink))
