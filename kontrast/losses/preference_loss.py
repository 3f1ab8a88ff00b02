"""The contract of a preference: of two answers to one prompt, one was chosen."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import LossTerm
from kontrast.losses.engine.reduction import collapse


@dataclass(frozen=True)
class Answers:
    """What a model says of N answers: `score` (N,), a summed log-probability or any score; of segments, (N, T) a step.

    reference (N,): the log-probability under a frozen model. length (N,): tokens.
    """

    score: Tensor
    reference: Tensor | None = None
    length: Tensor | None = None


class PreferenceLoss(nn.Module, ABC):
    """Answers chosen and answers rejected, aligned -> the mean over pairs. Each pair counts alone, so nothing is
    gathered.
    """

    ROOM = "losses"

    @abstractmethod
    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """(N,): the loss of each pair."""

    def forward(self, chosen: Answers, rejected: Answers) -> LossTerm:
        """The sum over pairs and their number."""
        each = self.per_pair(_wide(chosen), _wide(rejected))
        return LossTerm(collapse(each), collapse(torch.ones_like(each)))


def _wide(answers: Answers) -> Answers:
    parts = (answers.score, answers.reference, answers.length)
    return Answers(*(x if x is None or x.dtype == torch.float64 else x.float() for x in parts))  # pyright: ignore[reportArgumentType]
