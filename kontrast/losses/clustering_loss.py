"""The contract of an assignment: one view says where among K outputs a sample belongs, the other is to predict it."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import LossTerm
from kontrast.core.ranks import Ranks
from kontrast.losses.engine.reduction import collapse


class ClusteringLoss(nn.Module, ABC):
    """L_i = -sum_k q_ik log softmax(scores_i / temperature)_k; how q comes about is what makes the loss.

    Scores are (B, K), K fixed by a layer (prototypes, a head), not by the batch.
    """

    ROOM = "losses"

    temperature: float

    @abstractmethod
    def targets(self, scores: Tensor, ranks: Ranks) -> Tensor:
        """(B, K) -> (B, K): q, without gradient, from the scores of the view that says."""

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerm:
        """The mean over samples of the cross-entropy, from the scores of the view that predicts; in float32 or
        better.
        """
        wide = scores if scores.dtype == torch.float64 else scores.float()
        each = -(targets.detach() * (wide / self.temperature).log_softmax(-1)).sum(-1)
        level = each.numel() * math.log(scores.shape[-1])
        return LossTerm(collapse(each), collapse(torch.ones_like(each)), chance=level)
