"""K-positive contrast: SupCon with the sample's other views and k others of its class, so all classes pull alike."""

from typing import ClassVar

import torch
from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class KCL(LossModule):
    """K-positive contrast: SupCon with the sample's other views and k others of its class, so all classes pull alike.

    For long tails. The k are random: others in each call in training, the same in evaluation.

    Args:
        k: Positives of the class; 6 in the paper.
        temperature: Above 0.
        seed: Of the lots.
        learnable: Learn the temperature (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D), labels (N,) and ids (N,), which name the sample of each row; compared by cosine.

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
        """(N, D), (N,) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.kcl(z, labels, ids, k=self.k, temperature=self.temperature(), seed=self._lot()))

    def _lot(self) -> int:
        """The number of this call, in training; none of them in evaluation."""
        if self.training:
            self.calls += 1
        return self.seed + (int(self.calls) if self.training else 0)
