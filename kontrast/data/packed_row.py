"""A packed row: one array, or several by name (the nodes and the edges of a graph), ragged on their first axes."""

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

PackedRow = np.ndarray | Mapping[str, np.ndarray]


def is_packed(value: Any) -> TypeGuard[PackedRow]:
    """Whether something is a packed row, rather than an error or missing."""
    return isinstance(value, np.ndarray | Mapping)


def arrays(row: PackedRow) -> dict[str, np.ndarray]:
    """The arrays of a row by name; a single one has no name."""
    return {"": row} if isinstance(row, np.ndarray) else dict(row)


def nbytes(row: PackedRow) -> int:
    """Bytes of a row."""
    return sum(np.asarray(array).nbytes for array in arrays(row).values())


def length(row: PackedRow) -> int:
    """Length of a row: that of its first array."""
    return len(next(iter(arrays(row).values())))
