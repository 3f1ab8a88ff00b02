"""Rows of an embedding table as one matrix, in an order independent of the file."""

import hashlib
from dataclasses import dataclass

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.unit_rows import unit


@dataclass(frozen=True)
class Space:
    """Rows to evaluate, as one matrix.

    Attributes:
        field: Field the rows come from; None for whole rows.
        z: (N, D) embeddings of unit length.
        ids: (N,) strings.
        labels: (N,) strings, "" if unknown.
    """

    field: str | None
    z: np.ndarray
    ids: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.z)

    def named(self, number: str) -> str:
        """Name of a number in this space, prefixed by the field if there is one."""
        return number if self.field is None else f"{self.field} {number}"

    def take(self, index: np.ndarray) -> "Space":
        """Selects rows by indices or a mask, in that order."""
        return Space(self.field, self.z[index], self.ids[index], self.labels[index])

    def labelled(self) -> "Space":
        """Selects the rows with a known label."""
        return self.take(self.labels != "")


def spaces(bank: EmbeddingTable) -> list[Space]:
    """Whole rows first, then each field if there are several; rows without embedding are dropped.

    Rows are ordered by a hash of their id, so that sampling, initialisation and ties by position neither profit from
    rows
    sorted by class nor change with the order of the file.
    """
    digests = [hashlib.blake2b(name.encode()).digest() for name in map(str, bank.ids.tolist())]
    order = np.array(sorted(range(len(bank)), key=digests.__getitem__), int)
    bank = bank.take(order)
    found = [_space(None, bank.whole(), bank, present(bank))]
    return found + [_space(f, bank.z[f], bank, bank.has(f)) for f in bank.z if len(bank.z) > 1]


def present(bank: EmbeddingTable) -> np.ndarray:
    """(N,) bool: rows that have any field."""
    return np.logical_or.reduce([bank.has(field) for field in bank.z])


def _space(field: str | None, z: np.ndarray, bank: EmbeddingTable, kept: np.ndarray) -> Space:
    labels = np.full(len(bank), "") if bank.labels is None else bank.labels
    return Space(field, unit(z[kept]).astype(np.float32, copy=False), bank.ids[kept], labels[kept])


def classes(bank: EmbeddingTable) -> int:
    """Number of classes among rows with a label and an embedding."""
    return 0 if bank.labels is None else len(set(bank.labels[present(bank)].tolist()) - {""})


def unlearnable(train: EmbeddingTable, test: EmbeddingTable) -> str | None:
    """Reason why a classifier cannot be trained and evaluated; None if it can."""
    if train.labels is None or test.labels is None:
        return "no labels"
    if classes(train) < 2:
        return "no labelled training row" if classes(train) == 0 else "one class only"
    return "no labelled test row" if classes(test) == 0 else None


def ungroupable(test: EmbeddingTable) -> str | None:
    """Reason why test rows cannot be grouped by label; None if they can."""
    if test.labels is None:
        return "no labels"
    return {0: "no labelled test row", 1: "one class only"}.get(classes(test))
