"""SogCLR: `NTXent` whose denominators are running means per sample, so small batches suffice."""

import copy
from typing import ClassVar

from torch import Tensor

from kontrast.layers.estimates import Estimates
from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class SogCLR(LossModule):
    """SogCLR: `NTXent` whose denominators are running means per sample, so small batches suffice.

    For views without labels. Each call in training mode updates the running means.

    Args:
        rows: Number of samples in the data; ids are 0 to rows - 1.
        temperature: Above 0; 0.1 as in the paper, which also multiplies the loss by it; this one does not.
        rate: Share of the new value in each update of a running mean; 0.9 as in the paper.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Two tensors (N, D): row k of both is a view of sample k. ids (N,), integers: the sample of each row.

    Equation:
        L_i = log u_i - S_i, u_i the running mean of e^S over i's negatives, S the cosine over the temperature, S_i that
        of i's two views.

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
        """Returns the loss, a scalar."""
        estimates = self.estimates if self.training else copy.deepcopy(self.estimates)
        return self.reduced(lambda: F.sogclr(z1, z2, ids, estimates, temperature=self.temperature()))
