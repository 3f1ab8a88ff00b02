"""Every row once per epoch, in a new order each time."""

import numpy as np

from kontrast.core import random_streams
from kontrast.data.samplers.sampler import Sampled, Sampler


class Shuffled(Sampler):
    """Permutes the training rows anew in each epoch.

    The rows left over at the end of an epoch, fewer than a batch, are dropped; other rows each time.

    Args:
        sampled: Rows to draw from.
    """

    def __init__(self, sampled: Sampled) -> None:
        self.sampled = sampled

    @property
    def per_epoch(self) -> int:
        """Number of whole batches."""
        return max(1, len(self.sampled.rows) // self.sampled.batch)

    def drawn(self, epoch: int) -> np.ndarray:
        """Permutation of all places."""
        return random_streams.permutation(self.sampled.seed, epoch, len(self.sampled.rows)).numpy()
