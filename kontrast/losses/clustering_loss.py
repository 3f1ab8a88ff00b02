"""Contract of clustering losses: a view predicts the cluster assignment of another view."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import LossTerm
from kontrast.core.ranks import Ranks
from kontrast.losses.engine.reduction import collapse


class ClusteringLoss(nn.Module, ABC):
    """Cross-entropy from target assignments to predictions over K outputs.

    Subclasses define `targets`. K is fixed by a layer (prototypes, a head), not by the batch.

    Attributes:
        temperature: Of the predictions.

    Equation:
        L_i = -sum_k q_ik log softmax(scores_i / temperature)_k
    """

    ROOM = "losses"

    temperature: float

    @abstractmethod
    def targets(self, scores: Tensor, ranks: Ranks) -> Tensor:
        """Assignments q, without gradient.

        Args:
            scores: (B, K), of the view that is predicted.
            ranks: The processes, for statistics over the whole batch.

        Returns:
            (B, K), rows sum to 1.
        """

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerm:
        """Mean cross-entropy over samples, in float32 or better.

        Args:
            scores: (B, K), of the view that predicts.
            targets: (B, K), as `targets` returns them.

        Returns:
            The sum over samples and their count.
        """
        wide = scores if scores.dtype == torch.float64 else scores.float()
        each = -(targets.detach() * (wide / self.temperature).log_softmax(-1)).sum(-1)
        level = each.numel() * math.log(scores.shape[-1])
        return LossTerm(collapse(each), collapse(torch.ones_like(each)), chance=level)
