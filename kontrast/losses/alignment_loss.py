"""Contract of losses over aligned pairs: row k of one side belongs to row k of the other."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError


class AlignmentLoss(nn.Module, ABC):
    """Loss of two sides of equal length, without relation, kernel or other negatives.

    Attributes:
        whole: False: pairs count one by one, so this process's rows suffice. True: the loss uses statistics of the
            batch (a covariance, an order), so it needs the rows of all processes (`Ranks.gather`, with gradient) and
            returns a count of 1: every process then computes the same value, and the gradients add up to those of a
            single process.
    """

    ROOM = "losses"

    whole: bool = False

    @abstractmethod
    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """Loss of N pairs.

        Args:
            one: Embeddings (N, D).
            two: Embeddings (N, D), row k of the same sample as row k of `one`.

        Returns:
            A sum and its count.
        """


def sides(loss: AlignmentLoss, one: Embeddings, two: Embeddings) -> tuple[Tensor, Tensor]:
    """Embeddings of both sides, in float32 or better.

    Args:
        loss: Named in the message.
        one: (N, D).
        two: (N, D).

    Raises:
        UserError: Sides that are no matrices with the same number of rows.
    """
    if one.z.shape[:-1] != two.z.shape[:-1] or one.z.ndim != 2:
        raise UserError(
            f"{type(loss).__name__.lower()}: rows of shape {tuple(one.z.shape)} and {tuple(two.z.shape)}; "
            "expected two (N, D) with row k of one belonging to row k of the other."
        )
    return tuple(r.z if r.z.dtype == torch.float64 else r.z.float() for r in (one, two))  # pyright: ignore[reportReturnType]
