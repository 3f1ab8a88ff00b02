"""Alignment of positive pairs plus uniformity of all embeddings on the unit sphere."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class AlignUniform(LossModule):
    """Alignment of positive pairs plus uniformity of all embeddings on the unit sphere.

    The two effects of a contrastive loss as two terms with a weight. Also measures how aligned and how uniform a
    trained embedding is.

    Args:
        power: Exponent of the distance of a pair; 2 as in the paper.
        t: Sharpness of the Gaussian potential; 2 as in the paper, 1 in lightly's HypersphereLoss.
        weight: Weight of the uniformity; 1 by default.
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Two tensors (N, D): row k of both is a view of sample k. Normalised here.

    Equation:
        L = mean_k |x_k - y_k|^power + weight (U(x) + U(y)) / 2, U(x) = log mean_{i != j} e^(-t |x_i - x_j|^2).

    Reference:
        Wang & Isola 2020, arXiv:2005.10242.

    Example:
        >>> AlignUniform()(torch.eye(4), torch.eye(4))
        tensor(-4.)
    """

    def __init__(self, *, power: float = 2.0, t: float = 2.0, weight: float = 1.0, gather: bool = True) -> None:
        super().__init__(gather=gather)
        self.power, self.t, self.weight = power, t, weight

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Returns the loss, a scalar."""
        return self.reduced(lambda: F.align_uniform(z1, z2, power=self.power, t=self.t, weight=self.weight))
