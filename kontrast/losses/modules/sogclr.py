"""SogCLR: NT-Xent whose denominators are running means over each sample's history, so small batches suffice."""

import copy
from typing import ClassVar

from torch import Tensor

from kontrast.layers.estimates import Estimates
from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class SogCLR(LossModule):
    """SogCLR: NT-Xent whose denominators are running means over each sample's history, so small batches suffice.

    Each call in training mode updates the estimates.

    Args:
        rows: Number of samples of the data; ids are 0 to rows - 1.
        temperature: Above 0; 0.1 in the paper, whose loss is multiplied by it; here nothing is.
        rate: How fast estimates follow; 0.9 in the paper.
        learnable: Learn the temperature (a parameter `temperature.log_scale`, at most 100).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two views (N, D), row k of each the same sample, and ids (N,), whole numbers.

    Equation:
        L_i = log u_i - S_i, u_i the running mean of e^S over i's negatives.

    Reference:
        Yuan et al. 2022, arXiv:2202.12387.

    Example:
        >>> z = torch.eye(3)
        >>> round(SogCLR(rows=3, temperature=1.0)(z, z, torch.arange(3)).item(), 4)
        -1.0
    """

    compared: ClassVar[int | None] = 2

    def __init__(
        self,
        *,
        rows: int,
        temperature: float = 0.1,
        rate: float = 0.9,
        learnable: bool = False,
        gather: bool = True,
    ) -> None:
        super().__init__(gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)
        self.estimates = Estimates(samples=rows, rate=rate)

    def forward(self, z1: Tensor, z2: Tensor, ids: Tensor) -> Tensor:
        """(N, D) twice and (N,) -> a scalar."""
        estimates = self.estimates if self.training else copy.deepcopy(self.estimates)
        return self.reduced(lambda: F.sogclr(z1, z2, ids, estimates, temperature=self.temperature()))
