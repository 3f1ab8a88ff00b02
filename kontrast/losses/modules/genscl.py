"""GenSCL: rows attract by how alike their soft labels are, as MixUp, CutMix or a teacher make them."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class GenSCL(LossModule):
    """GenSCL: rows attract by how alike their soft labels are, as MixUp, CutMix or a teacher make them.

    With one-hot labels it is `SupCon`.

    Args:
        temperature: Above 0; 0.1 as in the paper, whose code multiplies the loss by temperature / 0.07; here nothing
            is.
        alpha: Weight of the teacher's part, where one is given.
        learnable: Learn the temperature (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D); soft (N, C), the share of each class; teacher (N, C), a teacher's class probabilities.

    Equation:
        L_i = log sum_{k != i} e^(S_ik) - sum_j G_ij S_ij / sum_j G_ij, G_ij the cosine of the soft labels of i and j.

    Reference:
        Kim et al. 2022, arXiv:2206.00384.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(GenSCL(temperature=1.0)(z, torch.eye(2)[[0, 0, 1]]).item(), 4)
        0.3133
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        alpha: float = 1.0,
        learnable: bool = False,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)
        self.alpha = alpha

    def forward(self, z: Tensor, soft: Tensor, teacher: Tensor | None = None) -> Tensor:
        """(N, D) and (N, C) -> a scalar; "none": (N,)."""
        return self.reduced(
            lambda: F.gensupcon(z, soft, temperature=self.temperature(), teacher=teacher, alpha=self.alpha)
        )
