"""K-positive contrast: `SupCon` with the other views and k random rows of the class."""

from typing import ClassVar

import torch
from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class KCL(LossModule):
    """K-positive contrast: `SupCon` with the other views and k random rows of the class.

    For long-tailed classes: frequent classes pull no harder than rare ones. The k are redrawn in each call in training
    mode and fixed in evaluation mode.

    Args:
        k: Positives from the class per anchor; 6 as in the paper.
        temperature: Above 0; 0.1 by default.
        seed: Seed of the draws.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over the anchors that have a positive (default), "sum", or "none" (one number per anchor, 0
            without a positive).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D), labels (N,) and ids (N,), the sample of each row. Compared by cosine.

    Equation:
        L_i = log sum_{j != i} e^(S_ij) - mean of S_ip over p in {other views} + {k of the class}.

    Reference:
        Kang et al. 2021, "Exploring balanced feature spaces for representation learning", ICLR.

    Example:
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(KCL(temperature=1.0)(z, labels, torch.arange(3)).item(), 4)
        0.3133
    """

    compared: ClassVar[int | None] = 1

    calls: Tensor

    def __init__(
        self,
        *,
        k: int = 6,
        temperature: float = 0.1,
        seed: int = 0,
        learnable: bool = False,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)
        self.k, self.seed = k, seed
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, z: Tensor, labels: Tensor, ids: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.kcl(z, labels, ids, k=self.k, temperature=self.temperature(), seed=self._draw()))

    def _draw(self) -> int:
        """The seed of this call: new in each training call, fixed in evaluation mode."""
        if self.training:
            self.calls += 1
        return self.seed + (int(self.calls) if self.training else 0)
