"""Barlow Twins: each feature agrees with itself in the other view and with no other feature."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class BarlowTwins(LossModule):
    """Barlow Twins: each feature agrees with itself in the other view and with no other feature.

    No negatives, no collapse; wants wide embeddings (2,048 and more).

    Args:
        off: Weight of different features; 0.005 as in the paper.
        gather: Statistics over the rows of all processes, where torch.distributed runs.

    Shape:
        Two views (N, D), row k of each the same sample; standardised by the batch here.

    Equation:
        L = sum_i (1 - C_ii)^2 + off sum_{i != j} C_ij^2, C the correlation of the features of both views.

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
        """(N, D) twice -> a scalar."""
        return self.reduced(lambda: F.barlow(z1, z2, off=self.off))
