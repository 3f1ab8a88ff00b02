"""SupCon with the sum over positives inside the logarithm: one near row of its class is enough."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SupConInside(LossModule):
    """SupCon with the sum over positives inside the logarithm: one near row of its class is enough.

    For classes of several kinds that need not become one cluster; what solo-learn calls SupCon (`mean=False`).

    Args:
        temperature: Above 0.
        mean: Mean over positives (L_in of the paper); False: their sum.
        learnable: Learn the temperature (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N,); compared by cosine.

    Equation:
        L_i = log sum_{k != i} e^(S_ik) - log mean_p e^(S_ip).

    Reference:
        Khosla et al. 2020, arXiv:2004.11362, equation 3.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(SupConInside(temperature=1.0)(z, torch.tensor([0, 0, 1])).item(), 4)
        0.3133
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        mean: bool = True,
        learnable: bool = False,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)
        self.mean = mean

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """(N, D) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.supcon_inside(z, labels, temperature=self.temperature(), mean=self.mean))
