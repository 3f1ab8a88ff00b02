"""GenSCL: rows attract in proportion to how similar their soft labels are."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class GenSCL(LossModule):
    """GenSCL: rows attract in proportion to how similar their soft labels are.

    For soft labels, as MixUp, CutMix or a teacher make them; with one-hot labels it is `SupCon`.

    Args:
        temperature: Above 0; 0.1 as in the paper, whose code also multiplies the loss by temperature / 0.07; this one
            does not.
        alpha: Weight of the teacher's term, if a teacher is given; 1 by default.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over the anchors that have a positive (default), "sum", or "none" (one number per anchor, 0
            without a positive).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D); soft (N, C), the share of each class per row; teacher (N, C), optional class probabilities of a
        teacher. Compared by cosine.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(
            lambda: F.gensupcon(z, soft, temperature=self.temperature(), teacher=teacher, alpha=self.alpha)
        )
