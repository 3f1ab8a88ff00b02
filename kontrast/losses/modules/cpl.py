"""CPL: the preferred of two behaviour segments must be likelier under the policy."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class CPL(LossModule):
    """CPL: the preferred of two behaviour segments must be likelier under the policy.

    Preference learning for control, without a reward model and without a critic.

    Args:
        alpha: Temperature of the advantage; 0.1 as in the paper.
        bias: The paper's lambda: weight of the rejected segment; below 1 it keeps chosen segments likely. 0.5 as in the
            paper.
        discount: Discount per step; 1 by default.
        reduction: "mean" over the pairs (default), "sum", or "none" (one number per pair).
        gather: Average over the pairs of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        chosen and rejected: (N, T) log-probabilities of the actions, or (N,) their sums.

    Equation:
        L = -log e^(a+) / (e^(a+) + e^(bias a-)), a = alpha sum_t discount^t log pi(act_t | state_t), + chosen, -
        rejected.

    Reference:
        Hejna et al. 2024, arXiv:2310.13639.

    Example:
        >>> CPL()(torch.tensor([[-1.0, -2.0]]), torch.tensor([[-3.0, -4.0]]))
        tensor(0.6685)
    """

    compared: ClassVar[int | None] = 0

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        bias: float = 0.5,
        discount: float = 1.0,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.alpha, self.bias, self.discount = alpha, bias, discount

    def forward(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.cpl(chosen, rejected, alpha=self.alpha, bias=self.bias, discount=self.discount))
