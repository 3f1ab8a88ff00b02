"""Multi-similarity: mines hard pairs and weighs each by the anchor's other pairs."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class MultiSimilarity(LossModule):
    """Multi-similarity: mines hard pairs and weighs each by the anchor's other pairs.

    A strong choice for retrieval on fine-grained classes.

    Args:
        pull: Sharpness on positives, the equation's a; 2 as in the paper.
        push: Sharpness on negatives, the equation's b; 50 as in the paper.
        centre: Cosine from which both sides are measured, the equation's c; 0.5 as in the paper's code and in
            pytorch-metric-learning, 1 in the paper's text.
        slack: Tolerance of the mining, in cosine; 0.1 by default, None keeps all pairs. pytorch-metric-learning has a
            separate miner for it.
        reduction: "mean" over the anchors that have a positive (default), "sum", or "none" (one number per anchor, 0
            without a positive).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,); -1 marks an unknown label. Embeddings are compared by cosine.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(
            lambda: F.multi_similarity(z, labels, pull=self.pull, push=self.push, centre=self.centre, slack=self.slack)
        )
