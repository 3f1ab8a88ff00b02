"""Decoupled contrastive learning: NT-Xent without the positive among its candidates."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class DCL(LossModule):
    """Decoupled contrastive learning: NT-Xent without the positive among its candidates.

    Small batches lose less by it than NT-Xent does. The value may be negative.

    Args:
        temperature: Above 0; 0.1 in the paper and in lightly.
        learnable: Learn it (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two views (N, D), row k of each the same sample; compared by cosine.

    Equation:
        L_i = log sum_{k != i, p} e^(S_ik) - S_ip, S the cosine over the temperature, p the other view of i's sample.

    Reference:
        Yeh et al. 2022, arXiv:2110.06848.

    Example:
        >>> round(DCL(temperature=1.0)(torch.eye(2), torch.eye(2)).item(), 4)  # log 2 - 1
        -0.3069
    """

    def __init__(
        self, *, temperature: float = 0.1, learnable: bool = False, reduction: Reduction = "mean", gather: bool = True
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """(N, D) twice -> a scalar; "none": (2 N,), both views as anchors."""
        return self.reduced(lambda: F.dcl(z1, z2, temperature=self.temperature()))
