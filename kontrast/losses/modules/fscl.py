"""Fair supervised contrast: positives of any group, negatives of the anchor's own sensitive group alone."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class FSCL(LossModule):
    """Fair supervised contrast: positives of any group, negatives of the anchor's own sensitive group alone.

    What tells groups apart is then not learned.

    Args:
        temperature: Above 0.
        even: The group-wise normalisation of FSCL+.
        learnable: Learn the temperature (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D), labels (N,) and groups (N,); compared by cosine. Rows whose group holds no other class are left out.

    Equation:
        L_i = log sum_n e^(S_in) - sum_p w_p S_ip / sum_p w_p, p of the class, n of another class and the same group.

    Reference:
        Park et al. 2022, arXiv:2203.16209.

    Example:
        >>> z, labels, groups = torch.eye(2)[[0, 0, 1, 1]], torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
        >>> round(FSCL(temperature=1.0)(z, labels, groups).item(), 4)  # log(1) - 1
        -1.0
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        even: bool = False,
        learnable: bool = False,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)
        self.even = even

    def forward(self, z: Tensor, labels: Tensor, groups: Tensor) -> Tensor:
        """(N, D), (N,) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.fscl(z, labels, groups, temperature=self.temperature(), even=self.even))
