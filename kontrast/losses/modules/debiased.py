"""Debiased InfoNCE: subtracts what false negatives are expected to add to the denominator."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class Debiased(LossModule):
    """Debiased InfoNCE: subtracts what false negatives are expected to add to the denominator.

    For data of few unknown classes, where a random row often shares the anchor's class.

    Args:
        temperature: Above 0; 0.5 as in the paper.
        prior: Chance that a random row shares the anchor's class, usually 1 / classes; from 0 (`NTXent`) to below 1.
            0.1 by default.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over all anchors (default), "sum", or "none" (one number per anchor).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Two tensors (N, D): row k of both is a view of sample k. Compared by cosine.

    Equation:
        L_i = log(e^(S_ip) + g) - S_ip, g = (sum_n e^(S_in) - prior N e^(S_ip)) / (1 - prior), at least N e^(-1 /
        temperature), n the N negatives.

    Reference:
        Chuang et al. 2020, arXiv:2007.00224.

    Example:
        >>> z = torch.eye(4)
        >>> bool(Debiased(prior=0.0)(z, z) == Debiased(prior=0.1)(z, z))
        False
    """

    def __init__(
        self,
        *,
        temperature: float = 0.5,
        prior: float = 0.1,
        learnable: bool = False,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)
        self.prior = prior

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (2 N,), first view first."""
        return self.reduced(lambda: F.debiased(z1, z2, temperature=self.temperature(), prior=self.prior))
