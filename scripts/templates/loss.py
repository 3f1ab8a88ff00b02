"""States in one line which pairs the loss compares, and how."""

from typing import Annotated

from torch import Tensor

from kontrast.core.factory import Range
from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum, mean
from kontrast.losses.tile_weights import Weights


class Template(ContrastiveLoss):
    """Cross-entropy of a softmax over the candidates with the positives as targets, times `scale`.

    Say here when to take it, and which loss to take instead otherwise.

    Args:
        scale: Factor of the loss, above 0. Say where the default comes from: the paper, or another library.

    Equation:
        L_i = scale (log sum_k Q_ik e^S_ik - sum_j P_ij S_ij / sum_j P_ij), with P the weights of the positives and Q
        those of the candidates.

    Reference:
        Author et al. YEAR, arXiv:NUMBER.

    Example:
        >>> import torch
        >>> import kontrast as kt
        >>> from kontrast.losses.kernels.cosine import Cosine
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> z, ids = torch.eye(2).repeat(2, 1), torch.arange(2).repeat(2)
        >>> rows = kt.Embeddings(z, {"id": ids, "view": torch.arange(2).repeat_interleave(2)})
        >>> loss = kt.contrast(rows, rows, SameKey("id"), loss=Template(), kernel=Cosine(temperature=1.0))
        >>> round(loss.value().item(), 4)  # log(e + 2) - 1
        0.5514
    """

    def __init__(self, *, scale: Annotated[float, Range(1e-6)] = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Similarities (l, n, M) and the two weights of a tile -> the loss of each anchor (l, n)."""
        return self.scale * (log_sum(similarity, candidates) - mean(similarity, positives))
