"""Spectral contrastive: inner products of pairs are to be large, squares of all others small."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class Spectral(LossModule):
    """Spectral contrastive: inner products of pairs are to be large, squares of all others small.

    Its minimum is known: it factorises the graph of which rows are views of one sample. Lengths matter, they are
    not normalised away.

    Args:
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two views (N, D), row k of each the same sample; as they are.

    Equation:
        L_i = -2 S_ii + mean_{j != i} S_ij^2.

    Reference:
        HaoChen et al. 2021, arXiv:2106.04156.

    Example:
        >>> Spectral()(torch.eye(2), torch.eye(2))
        tensor(-2.)
    """

    def __init__(self, *, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """(N, D) twice -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.spectral(z1, z2))
