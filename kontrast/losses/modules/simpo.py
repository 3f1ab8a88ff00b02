"""SimPO: the chosen answer is likelier per token than the rejected one, by a margin."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SimPO(LossModule):
    """SimPO: the chosen answer is likelier per token than the rejected one, by a margin.

    Preference learning without a reference model: cheaper than `DPO`, and does not reward longer answers.

    Args:
        beta: Factor of the log-probability per token; 2 by default, 2 to 10 in the paper.
        margin: Margin of the scaled difference; 1 by default, half of beta as in the paper.
        reduction: "mean" over the pairs (default), "sum", or "none" (one number per pair).
        gather: Average over the pairs of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Four tensors (N,): summed log-probabilities of chosen and rejected answers, then their numbers of tokens.

    Equation:
        L = -log sigmoid(beta s_w / n_w - beta s_l / n_l - margin), w the chosen, l the rejected answer, n tokens.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(
            lambda: F.simpo(chosen, rejected, chosen_length, rejected_length, beta=self.beta, margin=self.margin)
        )
