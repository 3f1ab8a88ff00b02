"""CLICK: an unwanted text must be less likely than a wanted one, by a margin."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class CLICK(LossModule):
    """CLICK: an unwanted text must be less likely than a wanted one, by a margin.

    For detoxifying language models: add it to the model's own loss, with a weight of 0.5 as in the paper.

    Args:
        margin: Margin in log-probability; 20 as in the paper.
        reduction: "mean" over the pairs (default), "sum", or "none" (one number per pair).
        gather: Average over the pairs of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        wanted and unwanted (N,): summed log-probabilities of the texts.

    Equation:
        L = max(0, margin - s_wanted + s_unwanted).

    Reference:
        Zheng et al. 2023, arXiv:2306.03350.

    Example:
        >>> CLICK()(torch.tensor([-4.0]), torch.tensor([-9.0]))
        tensor(15.)
    """

    compared: ClassVar[int | None] = 0

    def __init__(self, *, margin: float = 20.0, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.margin = margin

    def forward(self, wanted: Tensor, unwanted: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.click(wanted, unwanted, margin=self.margin))
