"""Rows drawn as often as a weight column says."""

import functools

import numpy as np
import torch

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.data.samplers.sampler import Sampled, Sampler


class Weighted(Sampler):
    """Draws each row in a share of the epochs, by its weight.

    The heaviest rows come in every epoch, a row of half their weight in every second one.

    Systematic sampling along a permutation: no row comes twice in a batch, nor twice with the same views.

    Args:
        sampled: Rows and weights.

    Raises:
        UserError: no column of kind `weight`.
    """

    def __init__(self, sampled: Sampled) -> None:
        if sampled.weights is None:
            raise UserError("sampler 'weighted' needs a column of weights. Name it: --field COLUMN=weight.")
        self.sampled, self.weights = sampled, sampled.weights

    @functools.cached_property
    def per_epoch(self) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Number of whole batches in the rows that an epoch draws."""
        return max(1, int(self._shares().sum()) // self.sampled.batch)

    def drawn(self, epoch: int) -> np.ndarray:
        """Rows of an epoch.

        A row is drawn if the running sum of shares passes a whole number there, so each comes exactly by its share.

        All epochs are of equal length, give or take a row.
        """
        sampled = self.sampled
        permuted = random_streams.permutation(sampled.seed, epoch, len(sampled.rows)).numpy()
        start = random_streams.uniform(
            random_streams.key(sampled.seed, epoch, torch.zeros(1, dtype=torch.int64), -8), 1
        ).item()
        sums = np.cumsum(self._shares()[permuted]) + start
        kept = permuted[np.floor(sums) > np.floor(np.concatenate([[start], sums[:-1]]))]
        if len(kept) < sampled.batch:  # fewer than a batch: the rows next in line fill it
            kept = np.concatenate([kept, permuted[~np.isin(permuted, kept)]])
        return kept

    def _shares(self) -> np.ndarray:
        """Share of the epochs in which each row is drawn."""
        return self.weights.astype(np.float64) / self.weights.max()
