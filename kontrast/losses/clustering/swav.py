"""SwAV: each view predicts the balanced prototype assignment of the other."""

import torch
from torch import Tensor

from kontrast.core.ranks import Ranks
from kontrast.losses.clustering_loss import ClusteringLoss
from kontrast.losses.engine import input_checks


class SwAV(ClusteringLoss):
    """SwAV: each view predicts the balanced prototype assignment of the other.

    Take it for views without labels, above all with several small crops per image; it needs no negatives. Batches must
    be larger than the number of prototypes, or be helped by a queue. For few rows take `InfoNCE`. Scores are cosines to
    prototypes.

    Args:
        temperature: Of predictions, above 0; 0.1 as in the paper and in lightly.
        epsilon: Sharpness of assignments, above 0; 0.05 as in the paper and in lightly.
        iterations: Of Sinkhorn-Knopp over the batch of all processes; 3 as in the paper and in lightly.

    Shape:
        Scores (B, K) of two views -> a sum over B samples and its count B.

    Raises:
        UserError: A setting outside its bounds.

    Equation:
        L_i = -sum_k q_ik log softmax(s_i / temperature)_k, q = sinkhorn(s' / epsilon) of the other view's scores s'.

    Reference:
        Caron et al. 2020, arXiv:2006.09882.

    Example:
        >>> loss, scores = SwAV(temperature=1.0), torch.zeros(4, 2)
        >>> round(loss(scores, loss.targets(scores, Ranks())).value().item(), 4)  # log 2
        0.6931
    """

    def __init__(self, *, temperature: float = 0.1, epsilon: float = 0.05, iterations: int = 3) -> None:
        super().__init__()
        self.temperature = input_checks.temperature(temperature, "swav: temperature")
        self.epsilon = input_checks.number(epsilon, "swav: epsilon", above=0)
        self.iterations = input_checks.whole(iterations, "swav: iterations", least=1)

    @torch.no_grad()
    def targets(self, scores: Tensor, ranks: Ranks) -> Tensor:
        """Balanced assignments (B, K); every row sums to 1."""
        wide = scores if scores.dtype == torch.float64 else scores.float()
        return sinkhorn(wide / self.epsilon, ranks, iterations=self.iterations)


def sinkhorn(logits_BK: Tensor, ranks: Ranks, *, iterations: int) -> Tensor:
    """Doubly scaled exponentials: columns equally full over all processes, rows sum to 1.

    Computed in logarithms, so that no temperature overflows. The sum of a column crosses the processes: largest value
    first, then sums.

    Args:
        logits_BK: (B, K), this process's rows.
        ranks: The processes.
        iterations: Alternations of column and row scaling.

    Returns:
        (B, K), without change of dtype.

    Reference:
        Cuturi 2013, arXiv:1306.0895.
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
