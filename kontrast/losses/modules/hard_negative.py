"""InfoNCE with negatives weighed by their hardness, and debiased."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class HardNegative(LossModule):
    """InfoNCE with negatives weighed by their hardness, and debiased.

    For views without labels once NT-Xent works: hard negatives teach more, false ones among them are discounted.

    Args:
        temperature: Above 0; 0.5 in the paper.
        prior: The chance that a random row is of the anchor's class, from 0 to below 1.
        hardness: The paper's beta: 0 is `Debiased`, 0.5 to 2 usual.
        learnable: Learn the temperature (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two views (N, D), row k of each the same sample; compared by cosine.

    Equation:
        As `Debiased`, with N sum_n e^((1 + hardness) S_in) / sum_n e^(hardness S_in) in place of sum_n e^(S_in).

    Reference:
        Robinson et al. 2021, arXiv:2010.04592.

    Example:
        >>> z = torch.eye(4)  # all negatives are alike: none is harder
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
        """(N, D) twice -> a scalar; "none": (2 N,), both views as anchors."""
        return self.reduced(
            lambda: F.hard_negative(z1, z2, temperature=self.temperature(), prior=self.prior, hardness=self.hardness)
        )
