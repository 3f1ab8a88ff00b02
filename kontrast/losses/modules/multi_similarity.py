"""Multi-similarity: hard pairs are mined, then weighed by how they compare with the anchor's other pairs."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class MultiSimilarity(LossModule):
    """Multi-similarity: hard pairs are mined, then weighed by how they compare with the anchor's other pairs.

    A strong choice for retrieval on fine classes.

    Args:
        pull: Sharpness on positives; 2 in the paper.
        push: Sharpness on negatives; 50 in the paper.
        centre: The cosine that both sides are measured from; 1 in the paper, 0.5 in its code and in
            pytorch-metric-learning.
        slack: Of the mining; None keeps all pairs. pytorch-metric-learning mines with a miner apart.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N,); compared by cosine.

    Equation:
        L_i = log(1 + sum_p e^(-a (S_p - c))) / a + log(1 + sum_n e^(b (S_n - c))) / b over mined p and n.

    Reference:
        Wang et al. 2019, arXiv:1904.06627.

    Example:
        >>> MultiSimilarity()(torch.eye(4), torch.tensor([0, 0, 1, 1]))
        tensor(0.6566)
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        pull: float = 2.0,
        push: float = 50.0,
        centre: float = 0.5,
        slack: float | None = 0.1,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.pull, self.push, self.centre, self.slack = pull, push, centre, slack

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """(N, D) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(
            lambda: F.multi_similarity(z, labels, pull=self.pull, push=self.push, centre=self.centre, slack=self.slack)
        )
