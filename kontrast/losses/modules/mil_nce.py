"""MIL-NCE: at least one of several possible partners of each row is right."""

from typing import Literal

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class MILNCE(LossModule):
    """MIL-NCE: at least one of several possible partners of each row is right.

    For pairs that are only roughly aligned, such as a video clip and the narrations around it.

    Args:
        temperature: Above 0; 1 as in the paper, whose inner products are not normalised.
        both: Also compare each row's partners with the other rows (default), as in the paper.
        reduction: "mean" over the rows (default) or "sum".
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and bags (N, K, D), the K possible partners of each row. Compared by inner product.

    Equation:
        L_i = log(sum_jk e^(z_i y_jk) + sum_{j != i, k} e^(z_j y_ik)) - log sum_k e^(z_i y_ik), y the bags.

    Reference:
        Miech et al. 2020, arXiv:1912.06430.

    Example:
        >>> round(MILNCE()(torch.eye(2), torch.eye(2)[:, None].repeat(1, 3, 1)).item(), 4)  # log(e + 2) - 1
        0.5514
    """

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        both: bool = True,
        reduction: Literal["mean", "sum"] = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature, self.both = temperature, both

    def forward(self, z: Tensor, bags: Tensor) -> Tensor:
        """Returns the loss, a scalar."""
        return self.reduced(lambda: F.mil_nce(z, bags, temperature=self.temperature, both=self.both))
