"""The contract of a loss over aligned pairs: row k of one side belongs to row k of the other."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError


class AlignmentLoss(nn.Module, ABC):
    """Two sets of rows of equal length -> Mean; no relation, no kernel, nobody else's negatives.

    `whole` says what it must be given: False, pairs count one by one, so this rank's rows suffice; True, statistics
    of the batch enter (a covariance, an order), so it needs everyone's rows (`Ranks.gather`, with gradient) and
    returns a count of 1: every rank then finds the same value, and the gradients that come back add up to those of
    one process.
    """

    ROOM = "losses"

    whole: bool = False

    @abstractmethod
    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """The loss of N pairs."""


def sides(loss: AlignmentLoss, one: Embeddings, two: Embeddings) -> tuple[Tensor, Tensor]:
    """Both embeddings in float32 or better, or a message if they are not aligned."""
    if one.z.shape[:-1] != two.z.shape[:-1] or one.z.ndim != 2:
        raise UserError(
            f"{type(loss).__name__.lower()}: rows of shape {tuple(one.z.shape)} and {tuple(two.z.shape)}; "
            "expected two (N, D) with row k of one belonging to row k of the other."
        )
    return tuple(r.z if r.z.dtype == torch.float64 else r.z.float() for r in (one, two))  # pyright: ignore[reportReturnType]
