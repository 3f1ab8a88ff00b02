"""A Frame: rows before anything is decoded, as named columns that stay where they are (Arrow or numpy, memory-mapped
where they come from a file)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kontrast.data.cells import read_cells

Column = pa.ChunkedArray | np.ndarray


@dataclass(frozen=True)
class Frame:
    """Columns of equal length. `name` is how messages call it; relative paths in cells are relative to `folder`."""

    columns: Mapping[str, Column]
    name: str
    folder: Path

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def cells(self, column: str, rows: Sequence[int] | np.ndarray) -> list[Any]:
        """Those cells as Python values or arrays; None where there is nothing."""
        return read_cells(self.columns[column], rows)
