"""What a set is to the contestants: rows to learn from, rows to be judged by, labels that only the probe sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["image", "text", "series"]
Cells = Sequence[Any]

MOST_TRAIN, MOST_TEST = 3_000, 1_500
"""Rows the probe learns from and is tested on; training itself sees all training rows."""


@dataclass(frozen=True)
class Task:
    """One set. kinds: field -> what its cells are; one field (with labels), or two whose rows belong together.

    Pictures are (H, W, 3) uint8 arrays, texts strings, series (T, C) float32 arrays with NaN for gaps.
    """

    name: str
    kinds: dict[str, Kind]
    train: dict[str, Cells]
    test: dict[str, Cells]
    train_labels: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    note: str = ""

    @property
    def pairs(self) -> bool:
        """Whether rows hold two fields to be matched, instead of one with a label."""
        return len(self.kinds) > 1

    @property
    def kind(self) -> str:
        """Such as "image", or "image + text"."""
        return " + ".join(self.kinds.values())

    def rows(self) -> tuple[int, int]:
        """The numbers of training and test rows."""
        field = next(iter(self.kinds))
        return len(self.train[field]), len(self.test[field])

    def probed(self) -> tuple[np.ndarray, np.ndarray]:
        """The training and test rows that the probe sees: all, or a fixed draw of as many as are enough."""
        draw = np.random.default_rng(0)
        parts = zip(self.rows(), (MOST_TRAIN, MOST_TEST), strict=True)
        train, test = (np.sort(draw.permutation(n)[:most]) for n, most in parts)
        return train, test


def take(cells: Cells, index: np.ndarray) -> list[Any]:
    """The cells at these places."""
    return [cells[i] for i in index]


def split(cells: Cells, share: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Places of training and test rows where a set has no split of its own: a fixed draw."""
    order = np.random.default_rng(7).permutation(len(cells))
    cut = round(len(cells) * share)
    return np.sort(order[cut:]), np.sort(order[:cut])
