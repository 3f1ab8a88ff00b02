"""Balanced contrast: SupCon whose classes count the same among the candidates, however many rows they have."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class BCL(LossModule):
    """Balanced contrast: SupCon whose classes count the same among the candidates, however many rows they have.

    For long tails.

    Args:
        num_classes: If given, a learned centre for each class is one more row of it (a parameter `centres`), so that no
            class is ever absent; labels are then 0 to num_classes - 1.
        dim: Width of the embeddings, where there are centres.
        temperature: Above 0.
        learnable: Learn the temperature (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N,); compared by cosine.

    Equation:
        L_i = log sum_c mean_{k of c, k != i} e^(S_ik) - mean_p S_ip.

    Reference:
        Zhu et al. 2022, arXiv:2207.09052.

    Example:
        >>> z, labels = torch.eye(2)[[0, 0, 1, 1, 1]], torch.tensor([0, 0, 1, 1, 1])
        >>> round(BCL(temperature=1.0)(z, labels).item(), 4)  # log(e + 1) - 1
        0.3133
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        dim: int | None = None,
        temperature: float = 0.1,
        learnable: bool = False,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)
        self.centres = None if num_classes is None or dim is None else nn.Parameter(torch.randn(num_classes, dim))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """(N, D) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.bcl(z, labels, self.centres, temperature=self.temperature()))
