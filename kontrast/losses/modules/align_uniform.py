"""Alignment of pairs plus uniformity on the sphere: what a contrastive loss does, as two terms to weigh."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class AlignUniform(LossModule):
    """Alignment of pairs plus uniformity on the sphere: what a contrastive loss does, as two terms to weigh.

    Also a measure of how a trained embedding does on both.

    Args:
        power: Of the distance of a pair; 2 in the paper.
        t: Of the Gaussian potential; 2 in the paper, 1 in lightly's HypersphereLoss.
        weight: Of the uniformity.
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two views (N, D), row k of each the same sample; put on the sphere.

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
        """(N, D) twice -> a scalar."""
        return self.reduced(lambda: F.align_uniform(z1, z2, power=self.power, t=self.t, weight=self.weight))
