"""Batches of rows of about equal length, to save computation on padding."""

from collections.abc import Mapping

import numpy as np

from kontrast.core import random_streams
from kontrast.data.dataset.store import Store


def bucketed(order: np.ndarray, lengths: np.ndarray, batch: int, buckets: int, seed: int, epoch: int) -> np.ndarray:
    """Reorders rows so that each batch holds rows of about equal length.

    The order is cut into groups of `buckets` batches, the rows of a group are sorted by length, and its batches come in
    random order. Which rows share a batch therefore depends also on their lengths, within a group.

    Args:
        order: (n,) ints, indices of the rows in the order of an epoch.
        lengths: Length of each row, by index.
        batch: Rows per step.
        buckets: Batches per group; 1 changes nothing.
        seed: Seed of the run.
        epoch: Number of the epoch; the result depends only on these arguments.

    Returns:
        (n,) ints, the same indices.
    """
    group, parts = batch * buckets, []
    for number, start in enumerate(range(0, len(order), group)):
        part = order[start : start + group]
        part = part[np.argsort(lengths[part], kind="stable")]
        whole = len(part) // batch
        turns = random_streams.permutation(seed, epoch * 1_000_003 + number, whole).numpy()
        parts += [part[turn * batch : (turn + 1) * batch] for turn in turns] + [part[whole * batch :]]
    return np.concatenate(parts) if parts else order


def lengths_of(stores: Mapping[str, Store], rows: np.ndarray) -> np.ndarray:
    """Total length of all fields of each row: (n,) int64."""
    lengths = np.zeros(len(rows), dtype=np.int64)
    for store in stores.values():
        there = store.has[rows]
        lengths[there] += store.lengths(rows[there])
    return lengths
