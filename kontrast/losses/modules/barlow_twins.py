"""Barlow Twins: each feature correlates with itself across views and with no other feature."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class BarlowTwins(LossModule):
    """Barlow Twins: each feature correlates with itself across views and with no other feature.

    Needs no negatives and does not collapse. Works best with wide embeddings (2,048 and more).

    Args:
        off: Weight of the off-diagonal correlations; 0.005 as in the paper and in lightly.
        gather: Take the statistics over the rows of all processes if torch.distributed runs (default); False: this
            process alone.

    Shape:
        Two tensors (N, D): row k of both is a view of sample k. Each feature is standardised over the batch here.

    Equation:
        L = sum_i (1 - C_ii)^2 + off sum_{i != j} C_ij^2, C the correlations of the features of one view with those of
        the other.

    Reference:
        Zbontar et al. 2021, arXiv:2103.03230.

    Example:
        >>> BarlowTwins()(torch.eye(4), torch.eye(4))
        tensor(0.0067)
    """

    def __init__(self, *, off: float = 0.005, gather: bool = True) -> None:
        super().__init__(gather=gather)
        self.off = off

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Returns the loss, a scalar."""
        return self.reduced(lambda: F.barlow(z1, z2, off=self.off))
