"""CLICK: a text of an unwanted kind must be less likely than a wanted one, by a margin in log-probability."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class CLICK(LossModule):
    """CLICK: a text of an unwanted kind must be less likely than a wanted one, by a margin in log-probability.

    Beside a language model's own loss, weighed 0.5.

    Args:
        margin: 20 in the paper.
        reduction: "mean" over the pairs, "sum" of them, or "none" (one number per pair).
        gather: Mean over the pairs of all processes, where torch.distributed runs.

    Shape:
        wanted and unwanted (N,), summed log-probabilities.

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
        """(N,) twice -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.click(wanted, unwanted, margin=self.margin))
