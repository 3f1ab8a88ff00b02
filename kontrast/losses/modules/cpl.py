"""CPL: of two segments of behaviour the preferred one must be likelier under the policy; no reward, no critic."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class CPL(LossModule):
    """CPL: of two segments of behaviour the preferred one must be likelier under the policy; no reward, no critic.

    Preference learning for control.

    Args:
        alpha: Temperature of the advantage; 0.1 in the paper.
        bias: The paper's lambda: below 1 it keeps chosen segments likely; 0.5 in the paper.
        discount: Per step.
        reduction: "mean" over the pairs, "sum" of them, or "none" (one number per pair).
        gather: Mean over the pairs of all processes, where torch.distributed runs.

    Shape:
        chosen and rejected: (N, T) log-probabilities of the actions, or (N,) their sums.

    Equation:
        L = -log e^(a+) / (e^(a+) + e^(bias a-)), a = alpha sum_t discount^t log pi(act_t | state_t).

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
        """(N, T) or (N,) twice -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.cpl(chosen, rejected, alpha=self.alpha, bias=self.bias, discount=self.discount))
