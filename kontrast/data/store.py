"""The contract of a store: packed rows of a field by number.

Axis letters: N rows, B requested rows, L length of a row on its first axis.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from kontrast.data.packed_row import PackedRow


class Store(ABC):
    """Packed values of a field (`Modality.pack`) by row.

    Attributes:
        has: (N,) bool, rows that have the field.
    """

    has: np.ndarray

    def __len__(self) -> int:
        return len(self.has)

    @abstractmethod
    def rows(self, index: Sequence[int] | np.ndarray) -> Sequence[PackedRow]:
        """Values of rows that have the field.

        Args:
            index: (B,) ints, indices of the rows.

        Returns:
            An array (B, L, ...) if rows are single arrays of equal length, else a list of rows.
        """

    @abstractmethod
    def lengths(self, index: Sequence[int] | np.ndarray) -> np.ndarray:
        """Lengths of rows on their first axis: (B,) int64; 0 if only decoding would tell."""
