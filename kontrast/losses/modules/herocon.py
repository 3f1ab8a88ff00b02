"""HeroCon's supervised term: several labels a row, attraction and repulsion by how much the label sets differ."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class HeroCon(LossModule):
    """HeroCon's supervised term: several labels a row, attraction and repulsion by how much the label sets differ.

    Beside `HeroConViews` and a classifier, as in the paper.

    Args:
        temperature: Above 0; 1 in the paper.
        reduction: "mean" over each label's pairs, "sum" of them, or "none" (the sum of each anchor's pairs).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N, C) of 0 and 1; compared by cosine.

    Equation:
        For each label, of the rows i, j that have it: L_ij = log(1 + sum_k h_ik e^(S_ik) / ((1 - h_ij / C) e^(S_ij))),
        k the rows that lack it, h the Hamming distance of the label sets; summed over labels.

    Reference:
        Zheng et al. 2022, "Contrastive learning with complex heterogeneity", KDD.

    Example:
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([[1, 0], [1, 0], [0, 1]])
        >>> round(HeroCon()(z, labels).item(), 4)  # log(1 + 2 / e)
        0.5514
    """

    compared: ClassVar[int | None] = 1

    def __init__(self, *, temperature: float = 1.0, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = temperature

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """(N, D) and (N, C) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.herocon(z, labels, temperature=self.temperature))
