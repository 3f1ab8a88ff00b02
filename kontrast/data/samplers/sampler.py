"""Contract of a sampler: which rows each step of training sees."""

import functools
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.data.dataset.length_buckets import bucketed


@dataclass(frozen=True, eq=False)
class Sampled:
    """Rows that a sampler draws from.

    Attributes:
        rows: (n,) numbers of the training rows in the data set.
        batch: Rows per step, over all ranks.
        seed: Of the run.
        weights: (n,) relative frequency of each row; None if all are drawn alike.
        labels: (n,) class of each row, negative if unknown; None if the data has no labels.
        lengths: (n,) length of each row; None if not needed.
        buckets: Batches whose rows are sorted by length together.
    """

    rows: np.ndarray
    batch: int
    seed: int
    weights: np.ndarray | None = None
    labels: np.ndarray | None = None
    lengths: np.ndarray | None = None
    buckets: int = 1


class Sampler(ABC):
    """Rule for the rows of a step.

    They depend on (seed, step) alone, so that all ranks and a resumed run agree.
    """

    ROOM = "samplers"

    sampled: Sampled

    @property
    @abstractmethod
    def per_epoch(self) -> int:
        """Number of steps per epoch, at least 1."""

    @abstractmethod
    def drawn(self, epoch: int) -> np.ndarray:
        """Order of the rows in an epoch.

        Returns:
            Places among `sampled.rows`, at least `per_epoch * batch`.
        """

    def epoch(self, step: int) -> int:
        """Epoch that a step belongs to."""
        return step // self.per_epoch

    def at(self, step: int, rank: int = 0, world: int = 1) -> np.ndarray:
        """Rows of a step on one rank; sizes may differ by one row.

        Args:
            step: From 0.
            rank: Of this process.
            world: Number of processes.

        Returns:
            Numbers of rows in the data set.
        """
        return np.array_split(self._batch(step), world)[rank]

    def partners(self, step: int, view: str, rank: int = 0, world: int = 1) -> np.ndarray:
        """Another row of the batch of all ranks for each row of `at`, to mix with.

        Each row of the batch is the partner of exactly one other. A batch of one row is its own partner.

        Args:
            step: From 0.
            view: Name of the view; views have other partners.
            rank: Of this process.
            world: Number of processes.

        Returns:
            Numbers of rows in the data set, as many as `at` returns and in its order.
        """
        rows = self._batch(step)
        stream = random_streams.step_keys(self.sampled.seed, step, [zlib.crc32(view.encode())])
        numbers = random_streams.mix(stream + torch.arange(len(rows)) * random_streams.GAMMA)
        circle = numbers.argsort().numpy()  # each row is the partner of the one before it in this circle
        partner = np.empty_like(circle)
        partner[circle] = np.roll(circle, -1)
        return np.array_split(rows[partner], world)[rank]

    def _batch(self, step: int) -> np.ndarray:
        """Rows of a step on all ranks together."""
        place = step % self.per_epoch * self.sampled.batch
        return self.sampled.rows[_kept(self, self.epoch(step))[place : place + self.sampled.batch]]


@functools.lru_cache(maxsize=2)  # each step asks for its epoch's; sorting a million rows again takes a while
def _kept(sampler: Sampler, epoch: int) -> np.ndarray:
    order, sampled = sampler.drawn(epoch), sampler.sampled
    if sampled.lengths is None or sampled.buckets == 1:
        return order
    return bucketed(order, sampled.lengths, sampled.batch, sampled.buckets, sampled.seed, epoch)


def labelled(sampled: Sampled, who: str) -> np.ndarray:
    """Returns the labels of the rows.

    Raises:
        UserError: no row has one; `who` begins the message.
    """
    if sampled.labels is None or not (sampled.labels >= 0).any():
        raise UserError(
            f"{who} draws rows by their class, and no training row has one. Name the column: --label COLUMN."
        )
    return sampled.labels
