"""Batches of rows of about one length, so that little is computed for padding."""

from collections.abc import Mapping

import numpy as np

from kontrast.core import random_streams
from kontrast.data.dataset.store import Store


def bucketed(order: np.ndarray, lengths: np.ndarray, batch: int, buckets: int, seed: int, epoch: int) -> np.ndarray:
    """The same rows in an order whose batches hold rows of about one length.

    The order is cut into groups of so many batches, the rows of a group are sorted by length, and its batches come in
    a random order. Which rows meet in a batch then depends on their lengths too, within a group.

    Args:
        order: Places among the rows, as an epoch sees them.
        lengths: (n,) how long each row is.
        batch: Rows per step.
        buckets: Batches per group; 1 changes nothing.
        seed: Of the run.
        epoch: Which one; the result depends on nothing but these arguments.
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
    """(n,) how long each of these rows is, all of its fields together."""
    lengths = np.zeros(len(rows), dtype=np.int64)
    for store in stores.values():
        there = store.has[rows]
        lengths[there] += store.lengths(rows[there])
    return lengths
