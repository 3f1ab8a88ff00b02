"""SupCon: rows of one label attract, all other rows repel; the supervised form of NT-Xent."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SupCon(LossModule):
    """SupCon: rows of one label attract, all other rows repel; the supervised form of NT-Xent.

    The default where labels are known. Two views of a batch: `SupCon()(torch.cat([z1, z2]), labels.repeat(2))`.

    Args:
        temperature: Above 0; 0.1 as in the paper. The authors' code multiplies the loss by temperature / 0.07; here
            nothing is.
        learnable: Learn it (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N,); compared by cosine. Rows alone in their class are left out of the mean.

    Equation:
        L_i = log sum_{k != i} e^(S_ik) - mean_p S_ip, p the other rows of i's class (L_out of the paper).

    Reference:
        Khosla et al. 2020, arXiv:2004.11362.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(SupCon(temperature=1.0)(z, torch.tensor([0, 0, 1])).item(), 4)  # log(e + 1) - 1
        0.3133
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self, *, temperature: float = 0.1, learnable: bool = False, reduction: Reduction = "mean", gather: bool = True
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """(N, D) and (N,) -> a scalar; "none": (N,), 0 for rows alone in their class."""
        return self.reduced(lambda: F.supcon(z, labels, temperature=self.temperature()))
