"""VICReg: views agree, every feature varies, and no two features vary together."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class VICReg(LossModule):
    """VICReg: views agree, every feature varies, and no two features vary together.

    Needs no negatives; the two views may come from different encoders.

    Args:
        invariance: Weight of the squared difference of the views; 25 as in the paper.
        variance: Weight of the hinge on each feature's standard deviation; 25 as in the paper.
        covariance: Weight of the squared covariances; 1 as in the paper.
        gather: Take the statistics over the rows of all processes if torch.distributed runs (default); False: this
            process alone.

    Shape:
        Two tensors (N, D): row k of both is a view of sample k. Not normalised.

    Equation:
        L = invariance mean (x - y)^2 + variance mean [1 - sqrt(var + 1e-4)]+ + covariance sum_{i != j} cov_ij^2 / D.

    Reference:
        Bardes et al. 2022, arXiv:2105.04906.

    Example:
        >>> VICReg()(torch.eye(4), torch.eye(4))
        tensor(12.5392)
    """

    def __init__(
        self, *, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0, gather: bool = True
    ) -> None:
        super().__init__(gather=gather)
        self.invariance, self.variance, self.covariance = invariance, variance, covariance

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Returns the loss, a scalar."""
        return self.reduced(
            lambda: F.vicreg(z1, z2, invariance=self.invariance, variance=self.variance, covariance=self.covariance)
        )
