"""Fair supervised contrast: negatives come from the anchor's own sensitive group only."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class FSCL(LossModule):
    """Fair supervised contrast: negatives come from the anchor's own sensitive group only.

    Positives may come from any group, so the embedding does not learn what tells the groups apart.

    Args:
        temperature: Above 0; 0.1 by default.
        even: Use the group-wise normalisation of FSCL+; False by default.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over the anchors that have a positive and a negative (default; weighted with `even`), "sum",
            or "none" (one number per anchor, 0 for the others).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D), labels (N,) and groups (N,). Compared by cosine. Rows whose group holds no other class are left out.

    Equation:
        L_i = log sum_n e^(S_in) - sum_p w_p S_ip / sum_p w_p, p of the class, n of another class and the same group, w
        1 unless `even`.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.fscl(z, labels, groups, temperature=self.temperature(), even=self.even))
