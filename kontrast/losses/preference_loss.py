"""Contract of preference losses: of two answers to a prompt, one was chosen."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import LossTerm
from kontrast.losses.engine.reduction import collapse


@dataclass(frozen=True)
class Answers:
    """Scores of N answers by a model.

    Attributes:
        score: (N,) a summed log-probability or any score; (N, T) per step, of segments.
        reference: (N,) the log-probability under a frozen model, if the loss needs it.
        length: (N,) numbers of tokens, if the loss needs them.
    """

    score: Tensor
    reference: Tensor | None = None
    length: Tensor | None = None


class PreferenceLoss(nn.Module, ABC):
    """Mean loss over aligned pairs of chosen and rejected answers; needs no other process's rows."""

    ROOM = "losses"

    @abstractmethod
    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """Loss of each pair, shape (N,)."""

    def forward(self, chosen: Answers, rejected: Answers) -> LossTerm:
        """Loss of all pairs, in float32 or better.

        Args:
            chosen: N answers.
            rejected: N answers, answer k to the same prompt as chosen k.

        Returns:
            The sum over pairs and their count.
        """
        each = self.per_pair(_wide(chosen), _wide(rejected))
        return LossTerm(collapse(each), collapse(torch.ones_like(each)))


def _wide(answers: Answers) -> Answers:
    parts = (answers.score, answers.reference, answers.length)
    return Answers(*(x if x is None or x.dtype == torch.float64 else x.float() for x in parts))  # pyright: ignore[reportArgumentType]
