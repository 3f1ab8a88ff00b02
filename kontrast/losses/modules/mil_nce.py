"""MIL-NCE: of a bag of possible partners at least one is right, as of the narrations around a clip of video."""

from typing import Literal

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class MILNCE(LossModule):
    """MIL-NCE: of a bag of possible partners at least one is right, as of the narrations around a clip of video.

    For pairs that are only roughly aligned.

    Args:
        temperature: Above 0; 1 in the paper, of inner products as they are.
        both: Also let the clip's narrations ask the other clips, as in the paper.
        reduction: "mean" or "sum" over the clips.
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and bags (N, K, D), the K possible partners of each row.

    Equation:
        L_i = log(sum_jk e^(z_i y_jk) + sum_{j != i, k} e^(z_j y_ik)) - log sum_k e^(z_i y_ik).

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
        """(N, D) and (N, K, D) -> a scalar."""
        return self.reduced(lambda: F.mil_nce(z, bags, temperature=self.temperature, both=self.both))
