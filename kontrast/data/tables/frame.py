"""Rows before decoding, as named columns that stay where they are (Arrow or numpy)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kontrast.data.remark import Remark
from kontrast.data.tables.column_reader import read_cells

Column = pa.ChunkedArray | np.ndarray
ANYWHERE = (Path("/"),)
_CHUNK = 65_536  # rows whose cells are Python values at one time


@dataclass(frozen=True)
class Frame:
    """Columns of equal length, memory-mapped if they come from a file.

    Attributes:
        columns: Name -> column.
        name: Of the data, for messages.
        folder: Relative paths in cells are relative to it.
        within: Further folders that may hold the files that cells name; ANYWHERE for data from a program, which is
            trusted.
        notes: What the user should know about how the rows were read, in sentences.
        remarks: Findings on the source that the rows do not show any more, for the doctor; their rows are row numbers.
    """

    columns: Mapping[str, Column]
    name: str
    folder: Path
    within: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def cells(self, column: str, rows: Sequence[int] | np.ndarray) -> list[Any]:
        """Some cells as Python values or arrays; None if missing."""
        return read_cells(self.columns[column], rows)


def widest(frames: Iterable[Frame]) -> tuple[Path, ...]:
    """Folders that may hold the files of rows that come from all these frames."""
    frames = list(frames)
    if any(frame.within == ANYWHERE for frame in frames):
        return ANYWHERE
    return tuple(dict.fromkeys(place for frame in frames for place in (frame.folder, *frame.within)))


def chunks(rows: int) -> list[tuple[int, int]]:
    """(start, stop) of chunks of rows whose cells fit into memory as Python values."""
    return [(start, min(start + _CHUNK, rows)) for start in range(0, rows, _CHUNK)]
