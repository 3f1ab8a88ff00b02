"""Decoupled contrastive learning: `NTXent` without the positive among its candidates."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class DCL(LossModule):
    """Decoupled contrastive learning: `NTXent` without the positive among its candidates.

    For views without labels and small batches, where it loses less than `NTXent`. The value may be negative.

    Args:
        temperature: Above 0; 0.1 as in the paper and in lightly.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over all anchors (default), "sum", or "none" (one number per anchor).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Two tensors (N, D): row k of both is a view of sample k. Compared by cosine.

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
        """Returns the loss: a scalar; with "none" (2 N,), first view first."""
        return self.reduced(lambda: F.dcl(z1, z2, temperature=self.temperature()))
