"""Debiased InfoNCE: the sum over negatives less what false ones among them are expected to add."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class Debiased(LossModule):
    """Debiased InfoNCE: the sum over negatives less what false ones among them are expected to add.

    For few classes without labels, where a random row often is of the anchor's own class.

    Args:
        temperature: Above 0; 0.5 in the paper.
        prior: The chance that a random row is of the anchor's class, from 0 (NT-Xent) to below 1; 1 / classes.
        learnable: Learn the temperature (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two views (N, D), row k of each the same sample; compared by cosine.

    Equation:
        L_i = log(e^(S_ip) + g) - S_ip, g = (sum_n e^(S_in) - prior N e^(S_ip)) / (1 - prior), at least N e^(-1 /
        temperature).

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
        """(N, D) twice -> a scalar; "none": (2 N,), both views as anchors."""
        return self.reduced(lambda: F.debiased(z1, z2, temperature=self.temperature(), prior=self.prior))
