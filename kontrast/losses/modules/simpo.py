"""SimPO: the chosen answer must be likelier per token than the rejected one, by a margin; no reference model."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SimPO(LossModule):
    """SimPO: the chosen answer must be likelier per token than the rejected one, by a margin; no reference model.

    Cheaper than `DPO`, and not longer-winded.

    Args:
        beta: 2 to 10 in the paper.
        margin: Half of beta in the paper.
        reduction: "mean" over the pairs, "sum" of them, or "none" (one number per pair).
        gather: Mean over the pairs of all processes, where torch.distributed runs.

    Shape:
        Four tensors (N,): summed log-probabilities and numbers of tokens of chosen and rejected answers.

    Equation:
        L = -log sigmoid(beta s_w / n_w - beta s_l / n_l - margin), n tokens.

    Reference:
        Meng et al. 2024, arXiv:2405.14734.

    Example:
        >>> SimPO()(torch.tensor([-4.0]), torch.tensor([-9.0]), torch.tensor([8]), torch.tensor([6]))
        tensor(0.3133)
    """

    compared: ClassVar[int | None] = 0

    def __init__(
        self, *, beta: float = 2.0, margin: float = 1.0, reduction: Reduction = "mean", gather: bool = True
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.beta, self.margin = beta, margin

    def forward(self, chosen: Tensor, rejected: Tensor, chosen_length: Tensor, rejected_length: Tensor) -> Tensor:
        """Four times (N,) -> a scalar; "none": (N,)."""
        return self.reduced(
            lambda: F.simpo(chosen, rejected, chosen_length, rejected_length, beta=self.beta, margin=self.margin)
        )
