"""DPO: the chosen answer gains more over a reference model than the rejected one."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class DPO(LossModule):
    """DPO: the chosen answer gains more over a reference model than the rejected one.

    Preference learning of language models without a reward model. `SimPO` needs no reference model either.

    Args:
        beta: Strength of the pull to the reference: the larger, the closer the policy stays; 0.1 is usual.
        reduction: "mean" over the pairs (default), "sum", or "none" (one number per pair).
        gather: Average over the pairs of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Four tensors (N,): summed log-probabilities of chosen and rejected answers under the policy, then the same two
        under the reference.

    Equation:
        L = -log sigmoid(beta [(s_w - ref_w) - (s_l - ref_l)]), w the chosen, l the rejected answer.

    Reference:
        Rafailov et al. 2023, arXiv:2305.18290.

    Example:
        >>> DPO()(torch.tensor([-4.0]), torch.tensor([-9.0]), torch.tensor([-5.0]), torch.tensor([-5.0]))
        tensor(0.4741)
    """

    compared: ClassVar[int | None] = 0

    def __init__(self, *, beta: float = 0.1, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.beta = beta

    def forward(self, chosen: Tensor, rejected: Tensor, chosen_reference: Tensor, rejected_reference: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.dpo(chosen, rejected, chosen_reference, rejected_reference, beta=self.beta))
