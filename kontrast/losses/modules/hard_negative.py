"""Debiased InfoNCE that gives harder negatives more weight."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class HardNegative(LossModule):
    """Debiased InfoNCE that gives harder negatives more weight.

    For views without labels, once `NTXent` works: hard negatives teach more, and the false ones among them are
    discounted.

    Args:
        temperature: Above 0; 0.5 as in the paper.
        prior: Chance that a random row shares the anchor's class, from 0 to below 1; 0.1 by default.
        hardness: The paper's beta: 0 is `Debiased`, 0.5 to 2 is usual; 1 by default.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over all anchors (default), "sum", or "none" (one number per anchor).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Two tensors (N, D): row k of both is a view of sample k. Compared by cosine.

    Equation:
        That of `Debiased`, with N sum_n e^((1 + hardness) S_in) / sum_n e^(hardness S_in) in place of sum_n e^(S_in).

    Reference:
        Robinson et al. 2021, arXiv:2010.04592.

    Example:
        >>> z = torch.eye(4)  # all negatives are equally hard
        >>> bool(HardNegative(hardness=2.0)(z, z) == HardNegative(hardness=1.0)(z, z))
        True
    """

    def __init__(
        self,
        *,
        temperature: float = 0.5,
        prior: float = 0.1,
        hardness: float = 1.0,
        learnable: bool = False,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)
        self.prior, self.hardness = prior, hardness

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (2 N,), first view first."""
        return self.reduced(
            lambda: F.hard_negative(z1, z2, temperature=self.temperature(), prior=self.prior, hardness=self.hardness)
        )
