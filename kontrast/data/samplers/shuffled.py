"""Every row once per epoch, in a new order each time."""

import numpy as np

from kontrast.core import random_streams
from kontrast.data.samplers.sampler import Sampled, Sampler


class Shuffled(Sampler):
    """Each epoch is a new permutation of the training rows.

    The rows left over at the end of an epoch, fewer than a batch, are dropped; other rows each time.
    """

    def __init__(self, sampled: Sampled) -> None:
        self.sampled = sampled

    @property
    def per_epoch(self) -> int:
        """Whole batches in the rows."""
        return max(1, len(self.sampled.rows) // self.sampled.batch)

    def drawn(self, epoch: int) -> np.ndarray:
        """A permutation of all places."""
        return random_streams.permutation(self.sampled.seed, epoch, len(self.sampled.rows)).numpy()
