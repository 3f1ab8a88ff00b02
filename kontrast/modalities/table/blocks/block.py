"""Contract of a block: all columns of one kind, packed and expanded together.

Axis letters: N rows of the sample, B rows of a batch, c columns of the block, S numbers per packed row, F features.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor


class Block(ABC):
    """Columns of one kind, fitted to a sample of the training rows.

    A missing cell is NaN in all its packed numbers.

    Attributes:
        names: (c,) the columns.
        slots: (c,) packed numbers per column.
        features: (c,) features per column, of which the last says that the cell is missing.
        absent: (c,) share of the sample's rows in which the cell is missing.
    """

    names: list[str]
    slots: list[int]
    features: list[int]
    absent: list[float]

    @abstractmethod
    def pack(self, cells: Sequence[Any] | np.ndarray) -> np.ndarray:
        """Packed cells of one row.

        Args:
            cells: (c,) cells as read; None for a missing one.

        Returns:
            (S,) float32.

        Raises:
            Unreadable: a cell of another kind.
        """

    @abstractmethod
    def expand(self, packed: Tensor) -> Tensor:
        """Features of packed rows, without NaN: (B, S) -> (B, F), column after column."""

    @abstractmethod
    def raw(self, packed: Tensor) -> Tensor:
        """Features of a linear model: numbers in standard units, one-hot categories; (B, S) -> (B, R)."""

    @abstractmethod
    def draw(self, u: Tensor) -> Tensor:
        """Cells of other rows, from the marginal distribution of each column.

        Args:
            u: (B, c) uniform random numbers.

        Returns:
            (B, S) packed.
        """

    @abstractmethod
    def words(self, packed: np.ndarray) -> list[str]:
        """Cells of a packed row in words, one per column; "" for a missing one."""

    @abstractmethod
    def seen(self, features: np.ndarray) -> list[str]:
        """Cells in words, one per column, from the features of a row; "" for a missing one."""

    @abstractmethod
    def described(self) -> list[dict[str, Any]]:
        """How the cells of each column become packed numbers, for programs without this library."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What was fitted, as plain JSON values."""

    @classmethod
    @abstractmethod
    def restored(cls, state: Mapping[str, Any]) -> "Block":
        """The block of that state."""


def number_words(value: float) -> str:
    """A number as people write it."""
    whole = abs(value) < 1e15 and (value == round(value) or abs(value) >= 1e4)
    return f"{value:,.0f}" if whole else f"{value:.4g}"
