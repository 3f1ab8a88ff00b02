"""N-pair: each row picks its partner by inner products of embeddings as they are, held small by a penalty."""

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class NPair(LossModule):
    """N-pair: each row picks its partner by inner products of embeddings as they are, held small by a penalty.

    The ancestor of `InfoNCE`; lengths carry confidence. With cosines take `CLIP` or `InfoNCE`.

    Args:
        l2: Weight of the mean squared length; 0.02 to 0.25 in the paper.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two tensors (N, D), row k of one belongs to row k of the other.

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
        """(N, D) twice -> a scalar; "none": (N,), one number per row of the first."""
        return self.reduced(lambda: F.npair(f, g, l2=self.l2))
