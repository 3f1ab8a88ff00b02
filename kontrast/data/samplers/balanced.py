"""Batches with the same number of rows of several classes."""

import numpy as np
import torch

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.data.samplers.sampler import Sampled, Sampler, labelled


class Balanced(Sampler):
    """P classes x K rows per batch, the sampler of metric learning.

    All classes are drawn equally often, so that rare ones count as much as frequent ones, and each anchor has K - 1
    positives of its class. P is the batch over K; with fewer classes than that, each comes several times per batch. A
    class goes through all of its rows before it begins again; one with fewer than K rows gives those it has. Rows
    without a label are not drawn.

    Args:
        sampled: Rows and labels.
        per_class: K.

    Raises:
        UserError: no labels, a `per_class` below 1, or `plan.buckets` above 1.

    Reference:
        FaceNet, arXiv:1503.03832; PK sampling, arXiv:1703.07737.
    """

    def __init__(self, sampled: Sampled, *, per_class: int = 4) -> None:
        if per_class < 1:
            raise UserError(f"sampler 'balanced': per_class={per_class}; expected 1 or more.")
        if sampled.buckets > 1:
            raise UserError(
                f"plan.buckets={sampled.buckets} sorts rows by length, but sampler 'balanced' says which classes meet "
                "in a batch. Leave out one of the two."
            )
        labels = labelled(sampled, "sampler 'balanced'")
        order = np.argsort(labels, kind="stable")
        order = order[np.searchsorted(labels[order], 0) :]  # rows without a label are negative
        starts = np.unique(labels[order], return_index=True)[1]
        self.sampled, self.members, self.per_class = sampled, np.split(order, starts[1:]), per_class

    @property
    def per_epoch(self) -> int:
        """Number of batches that the labelled rows would fill."""
        return max(1, sum(map(len, self.members)) // self.sampled.batch)

    def drawn(self, epoch: int) -> np.ndarray:
        """Rounds of all classes in random order, each with its next K rows."""
        wanted = self.per_epoch * self.sampled.batch
        rounds = -(-wanted // sum(min(self.per_class, len(m)) for m in self.members))
        parts = []
        for turn in range(epoch * rounds, (epoch + 1) * rounds):
            classes = random_streams.permutation(self.sampled.seed, turn, len(self.members)).tolist()
            parts += [self._next(self.members[c], turn) for c in classes]
        return np.concatenate(parts)[:wanted]

    def _next(self, members: np.ndarray, turn: int) -> np.ndarray:
        """K rows of a class from number turn * K on; each pass through the class has a new order."""
        n = len(members)
        k = min(self.per_class, n)
        ids = torch.from_numpy(members.astype(np.int64))
        first, last = turn * k // n, (turn * k + k - 1) // n
        orders = [
            random_streams.key(self.sampled.seed, time, ids, -9).argsort().numpy() for time in range(first, last + 1)
        ]
        place = turn * k - first * n
        return members[np.concatenate(orders)[place : place + k]]
