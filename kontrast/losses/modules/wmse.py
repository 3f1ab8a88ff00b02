"""W-MSE: views agree after each batch is whitened, which rules out collapse."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class WMSE(LossModule):
    """W-MSE: views agree after each batch is whitened, which rules out collapse.

    Needs no negatives, but more rows than the width: narrow embeddings and large batches.

    Args:
        size: Rows whitened together; None (default): all.
        shrink: Share of the identity mixed into the covariance; 0.001 by default, 0 in the paper.
        gather: Take the statistics over the rows of all processes if torch.distributed runs (default); False: this
            process alone.

    Shape:
        Two tensors (N, D): row k of both is a view of sample k. N above D.

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
        """Returns the loss, a scalar."""
        return self.reduced(lambda: F.wmse(z1, z2, size=self.size, shrink=self.shrink))
