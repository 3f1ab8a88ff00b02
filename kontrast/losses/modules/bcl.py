"""Balanced contrastive learning: `SupCon` in which every class weighs the same among the candidates."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class BCL(LossModule):
    """Balanced contrastive learning: `SupCon` in which every class weighs the same among the candidates.

    For long-tailed classes. With balanced classes `SupCon` does the same and is simpler.

    Args:
        num_classes: If given together with `dim`, each class has a learned centre (parameter `centres`) that counts as
            one more row of it, so that no class is ever absent; labels are then 0 to num_classes - 1. None (default):
            no centres.
        dim: Width D of the embeddings; needed for the centres only.
        temperature: Above 0; 0.1 by default.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over the anchors that have a positive (default), "sum", or "none" (one number per anchor, 0
            without a positive).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,); -1 marks an unknown label. Embeddings are compared by cosine.

    Equation:
        L_i = log sum_c mean_{k of c, k != i} e^(S_ik) - mean_p S_ip, S the cosine over the temperature, c the classes,
        p the other rows of i's class.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.bcl(z, labels, self.centres, temperature=self.temperature()))
