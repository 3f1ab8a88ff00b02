"""HeroCon's supervised term for multi-label rows, weighted by the difference of the label sets."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class HeroCon(LossModule):
    """HeroCon's supervised term for multi-label rows, weighted by the difference of the label sets.

    The paper trains it together with `HeroConViews` and a classifier.

    Args:
        temperature: Above 0; 1 as in the paper.
        reduction: "mean" over the pairs of each label (default), "sum", or "none" (the sum of the pairs of each
            anchor).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N, C) of 0 and 1. Compared by cosine.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.herocon(z, labels, temperature=self.temperature))
