"""Decoupled contrastive learning whose positives weigh the less, the more alike they are already."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class DCLW(LossModule):
    """Decoupled contrastive learning whose positives weigh the less, the more alike they are already.

    Take `DCL` first; this one is for augmentations of very unequal strength.

    Args:
        temperature: Above 0; 0.1 in the paper.
        sigma: How fast the weight falls; 0.5 in the paper.
        learnable: Learn the temperature (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two views (N, D), row k of each the same sample; compared by cosine.

    Equation:
        L_i = log sum_{k != i, p} e^(S_ik) - w_i S_ip, w_i = 2 - e^(cos_ip / sigma) / mean e^(cos / sigma), of mean 1.

    Reference:
        Yeh et al. 2022, arXiv:2110.06848.

    Example:
        >>> z = torch.eye(2)
        >>> round(DCLW(temperature=1.0)(z, z).item(), 4)  # all agree alike: DCL
        -0.3069
    """

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        sigma: float = 0.5,
        learnable: bool = False,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)
        self.sigma = sigma

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """(N, D) twice -> a scalar; "none": (2 N,), both views as anchors."""
        return self.reduced(lambda: F.dclw(z1, z2, temperature=self.temperature(), sigma=self.sigma))
