"""SwAV: views are assigned to prototypes, all equally full, and each view predicts the other's assignment."""

import torch
from torch import Tensor

from kontrast.core.ranks import Ranks
from kontrast.losses.clustering_loss import ClusteringLoss
from kontrast.losses.engine import input_checks


class SwAV(ClusteringLoss):
    """Cross-entropy towards Sinkhorn-balanced assignments: Caron et al. 2020 (arXiv:2006.09882). Scores are cosines
    to prototypes.

    `epsilon` sharpens the assignment; `iterations` of Sinkhorn-Knopp balance it over the batch of all ranks.
    """

    def __init__(self, *, temperature: float = 0.1, epsilon: float = 0.05, iterations: int = 3) -> None:
        super().__init__()
        self.temperature = input_checks.temperature(temperature, "swav: temperature")
        self.epsilon = input_checks.number(epsilon, "swav: epsilon", above=0)
        self.iterations = input_checks.whole(iterations, "swav: iterations", least=1)

    @torch.no_grad()
    def targets(self, scores: Tensor, ranks: Ranks) -> Tensor:
        """Balanced assignments; every row sums to 1."""
        wide = scores if scores.dtype == torch.float64 else scores.float()
        return sinkhorn(wide / self.epsilon, ranks, iterations=self.iterations)


def sinkhorn(logits_BK: Tensor, ranks: Ranks, *, iterations: int) -> Tensor:
    """e^logits scaled in turn so that columns are equally full over all ranks and rows sum to 1 (Cuturi,
    arXiv:1306.0895).

    In logarithms, so that no temperature overflows. The sum down a column crosses the ranks: largest value first,
    then sums.
    """
    row = logits_BK.new_zeros(len(logits_BK), 1)
    tiny = torch.finfo(logits_BK.dtype).tiny
    scaled = logits_BK
    for _ in range(iterations):
        top = ranks.max(scaled := logits_BK + row)
        column = ranks.sum((scaled - top).exp().sum(0)).clamp_min(tiny).log()
        row = -(logits_BK - column).logsumexp(1, keepdim=True)
        scaled = logits_BK - column
    return scaled.softmax(1)
