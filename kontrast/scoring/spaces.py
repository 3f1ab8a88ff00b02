"""A Space: rows of a bank as one matrix, whole or of one field, in an order that only their ids decide."""

import hashlib
from dataclasses import dataclass

import numpy as np

from kontrast.core.bank import Bank


@dataclass(frozen=True)
class Space:
    """Rows that have something to be judged by. field: None for whole rows. z: (N, D) float32, unit length. labels: (N,), "" unknown, or None."""

    field: str | None
    z: np.ndarray
    ids: np.ndarray
    labels: np.ndarray | None

    def __len__(self) -> int:
        return len(self.z)

    def named(self, number: str) -> str:
        """The number's name, led by the field's where it is one field's."""
        return number if self.field is None else f"{self.field} {number}"

    def take(self, index: np.ndarray) -> "Space":
        """Those rows, in that order (indices or a mask)."""
        return Space(self.field, self.z[index], self.ids[index], None if self.labels is None else self.labels[index])

    def labelled(self) -> "Space":
        """The rows whose label is known."""
        return self.take(np.zeros(len(self), bool) if self.labels is None else self.labels != "")


def spaces(bank: Bank) -> list[Space]:
    """Whole rows first; then, of a bank with several fields, each field. Rows without any field, or without that field, are left out.

    Rows are ordered by a hash of their id: what draws, starts or breaks ties by position cannot profit from rows sorted by class, nor change
    with the order of the file.
    """
    order = np.array(sorted(range(len(bank)), key=lambda i: hashlib.blake2b(str(bank.ids[i]).encode()).digest()), int)
    bank = bank.take(order)
    present = {field: bank.has(field) for field in bank.z}
    some = np.logical_or.reduce(list(present.values())) if present else np.zeros(0, bool)
    found = [_space(None, bank.whole(), bank, some)] if present else []
    if len(present) > 1:
        found += [_space(field, bank.z[field], bank, has) for field, has in present.items()]
    return found


def unit(z: np.ndarray) -> np.ndarray:
    """Rows of length one, float32; a zero row stays zero."""
    return (z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _space(field: str | None, z: np.ndarray, bank: Bank, kept: np.ndarray) -> Space:
    return Space(field, unit(z[kept]), bank.ids[kept], None if bank.labels is None else bank.labels[kept])


def classes(bank: Bank) -> int:
    """How many classes the labelled rows have."""
    return 0 if bank.labels is None else len(set(bank.labels.tolist()) - {""})


def unlearnable(train: Bank, test: Bank) -> str | None:
    """Why a classifier of train rows cannot be tried on test rows."""
    if train.labels is None or test.labels is None:
        return "no labels"
    if classes(train) < 2:
        return "no labelled training row" if classes(train) == 0 else "one class only"
    return "no labelled test row" if classes(test) == 0 else None


def ungroupable(test: Bank) -> str | None:
    """Why test rows cannot be grouped by label."""
    if test.labels is None:
        return "no labels"
    return {0: "no labelled test row", 1: "one class only"}.get(classes(test))
