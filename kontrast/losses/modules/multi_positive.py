"""NT-Xent on labels: each positive pair alone against the negatives, averaged over pairs."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class MultiPositive(LossModule):
    """NT-Xent on labels: each positive pair alone against the negatives, averaged over pairs.

    The NTXentLoss of pytorch-metric-learning. Unlike in `SupCon`, positives do not compete with one another.

    Args:
        temperature: Above 0; 0.1 by default, 0.07 in pytorch-metric-learning.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over the pairs (default), "sum", or "none" (the sum of the pairs of each anchor).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,); -1 marks an unknown label. Embeddings are compared by cosine.

    Equation:
        L_ip = log(e^(S_ip) + sum_n e^(S_in)) - S_ip, S the cosine over the temperature, p a row of i's class, n the
        rows of other classes.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.multi_positive(z, labels, temperature=self.temperature()))
