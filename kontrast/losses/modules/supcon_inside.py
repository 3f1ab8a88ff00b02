"""SupCon with the sum over positives inside the logarithm: one close positive suffices."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SupConInside(LossModule):
    """SupCon with the sum over positives inside the logarithm: one close positive suffices.

    For classes of several kinds that need not form one cluster. With `mean=False` it is what solo-learn calls SupCon.

    Args:
        temperature: Above 0; 0.1 by default.
        mean: Average over the positives (default; L_in of the paper); False: add them up.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over the anchors that have a positive (default), "sum", or "none" (one number per anchor, 0
            without a positive).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,); -1 marks an unknown label. Embeddings are compared by cosine.

    Equation:
        L_i = log sum_{k != i} e^(S_ik) - log mean_p e^(S_ip), S the cosine over the temperature, p the other rows of
        i's class.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.supcon_inside(z, labels, temperature=self.temperature(), mean=self.mean))
