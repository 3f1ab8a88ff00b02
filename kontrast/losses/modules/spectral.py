"""Spectral contrastive loss: large inner products for pairs, small squares for all others."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class Spectral(LossModule):
    """Spectral contrastive loss: large inner products for pairs, small squares for all others.

    Its minimum is known: a factorisation of the graph that links views of one sample. Lengths matter, since embeddings
    are not normalised.

    Args:
        reduction: "mean" over the rows (default), "sum", or "none" (one number per row).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Two tensors (N, D): row k of both is a view of sample k. Compared by inner product, without normalisation.

    Equation:
        L_i = -2 S_ii + mean_{j != i} S_ij^2, S the inner product.

    Reference:
        HaoChen et al. 2021, arXiv:2106.04156.

    Example:
        >>> Spectral()(torch.eye(2), torch.eye(2))
        tensor(-2.)
    """

    def __init__(self, *, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.spectral(z1, z2))
