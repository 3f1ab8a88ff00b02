"""NT-Xent on labels: each positive pair alone against the negatives, the mean over pairs."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class MultiPositive(LossModule):
    """NT-Xent on labels: each positive pair alone against the negatives, the mean over pairs.

    What pytorch-metric-learning calls NTXentLoss. Positives do not compete with one another, unlike in `SupCon`.

    Args:
        temperature: Above 0. pytorch-metric-learning's default is 0.07.
        learnable: Learn it (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over pairs, "sum" of them, or "none" (the sum of each anchor's pairs).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N,); compared by cosine.

    Equation:
        L_ip = log(e^(S_ip) + sum_n e^(S_in)) - S_ip, n of other classes.

    Reference:
        Musgrave et al. 2020, arXiv:2008.09164.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(MultiPositive(temperature=1.0)(z, torch.tensor([0, 0, 1])).item(), 4)
        0.3133
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self, *, temperature: float = 0.1, learnable: bool = False, reduction: Reduction = "mean", gather: bool = True
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """(N, D) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.multi_positive(z, labels, temperature=self.temperature()))
