"""Decoupled contrastive learning that weighs a positive less the more similar it already is."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class DCLW(LossModule):
    """Decoupled contrastive learning that weighs a positive less the more similar it already is.

    Take `DCL` first; this one is for augmentations of very unequal strength.

    Args:
        temperature: Above 0; 0.1 as in the paper.
        sigma: Bandwidth of the weight, in cosine: the smaller, the faster it falls; 0.5 as in the paper.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over all anchors (default), "sum", or "none" (one number per anchor).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Two tensors (N, D): row k of both is a view of sample k. Compared by cosine.

    Equation:
        L_i = log sum_{k != i, p} e^(S_ik) - w_i S_ip, w_i = 2 - e^(cos_ip / sigma) / mean e^(cos / sigma), of mean 1; S
        the cosine over the temperature, p the other view of i's sample.

    Reference:
        Yeh et al. 2022, arXiv:2110.06848.

    Example:
        >>> z = torch.eye(2)
        >>> round(DCLW(temperature=1.0)(z, z).item(), 4)  # all pairs equally similar: DCL
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
        """Returns the loss: a scalar; with "none" (2 N,), first view first."""
        return self.reduced(lambda: F.dclw(z1, z2, temperature=self.temperature(), sigma=self.sigma))
