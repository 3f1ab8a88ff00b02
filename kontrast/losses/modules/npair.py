"""N-pair: each row picks its partner by inner product, with a penalty on the lengths."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class NPair(LossModule):
    """N-pair: each row picks its partner by inner product, with a penalty on the lengths.

    The ancestor of `InfoNCE`; without normalisation, so the length of an embedding carries confidence. For cosines take
    `CLIP` or `InfoNCE`.

    Args:
        l2: Weight of the mean squared length; 0.02 by default, 0.02 to 0.25 in the paper.
        reduction: "mean" over the rows (default), "sum", or "none" (one number per row).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        f and g (N, D): row k of one belongs to row k of the other.

    Equation:
        L_i = log(1 + sum_{k != i} e^(f_i g_k - f_i g_i)) + l2 (|f_i|^2 + |g_i|^2) / 2.

    Reference:
        Sohn 2016, "Improved deep metric learning with multi-class n-pair loss objective", NIPS.

    Example:
        >>> round(NPair(l2=0.0)(torch.eye(2), torch.eye(2)).item(), 4)  # log(1 + 1 / e)
        0.3133
    """

    def __init__(self, *, l2: float = 0.02, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.l2 = l2

    def forward(self, f: Tensor, g: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.npair(f, g, l2=self.l2))
