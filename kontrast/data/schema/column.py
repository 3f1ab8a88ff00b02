"""A column as modalities and schema rules look at it to recognise its kind, and what a modality claims of it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from kontrast.data.tables.column_reader import innermost, is_list, is_number, read_cells

_SAMPLE = 1000  # cells read per column, evenly spread over the rows
_MOST = 0.8  # share of cells that decides
_LONG = 60  # characters on average from which on strings are no names of classes
_URL = re.compile(r"^(https?|ftp|s3|gs|hf)://\S+$|^www\.\S+$", re.IGNORECASE)


@dataclass(frozen=True)
class Claim:
    """What a modality says of a column that it recognises.

    Attributes:
        why: The reason, in words that a user understands.
        by: "content": cells can be nothing else, so the claim goes before all other rules; "name": the column's name
            says so, unless it is a label or an id; "rest": cells may be of this kind if no other rule takes them.
        usable: False if the column looks like this kind and cannot be used, as `why` explains.
    """

    why: str
    by: Literal["content", "name", "rest"] = "content"
    usable: bool = True


@dataclass(frozen=True, eq=False)
class Column:
    """Cells of a column that may be looked at.

    Attributes:
        name: Name in lower case.
        values: The whole column.
        rows: (N,) bool, rows that may be read; None for all.
        folder: Paths in cells are relative to it.
        within: Further folders whose files may be opened, as of a frame.
    """

    name: str
    values: pa.ChunkedArray | np.ndarray
    rows: np.ndarray | None
    folder: Path
    within: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.values) if self.rows is None else int(self.rows.sum())

    @property
    def type(self) -> pa.DataType | None:
        """Arrow's type; None for arrays and other objects of Python."""
        return None if isinstance(self.values, np.ndarray) else self.values.type

    @cached_property
    def cells(self) -> list[Any]:
        """Up to 1,000 cells, evenly spread; empty cells are left out."""
        there = np.arange(len(self.values)) if self.rows is None else np.flatnonzero(self.rows)
        places = np.unique(np.linspace(0, len(there) - 1, min(_SAMPLE, len(there))).astype(np.int64))
        return [cell for cell in read_cells(self.values, there[places]) if cell is not None]

    @property
    def filled(self) -> int:
        """Number of cells that are not missing."""
        assert not isinstance(self.values, np.ndarray)
        if self.rows is None:
            return len(self.values) - self.values.null_count
        there = pc.call_function("is_valid", [self.values]).to_numpy()
        return int((there & self.rows).sum())

    @property
    def readable(self) -> pa.ChunkedArray:
        """Cells of all readable rows; a copy unless these are all rows."""
        assert not isinstance(self.values, np.ndarray)
        return self.values if self.rows is None else self.values.filter(pa.array(self.rows))

    @property
    def is_text(self) -> bool:
        """Whether cells are strings."""
        return is_text(self.values)

    @cached_property
    def strings(self) -> list[str]:
        """The sampled cells of a column of strings that are more than white space; none for other columns."""
        return [cell for cell in self.cells if cell.strip()] if self.is_text else []

    @property
    def long(self) -> bool:
        """Whether strings are longer than names of classes are."""
        return float(np.mean([len(cell) for cell in self.strings])) > _LONG

    @cached_property
    def arrays(self) -> list[np.ndarray]:
        """The sampled cells that are arrays of numbers, of objects of Python or of Arrow's lists of numbers."""
        if self.type is not None and not (is_list(self.type) and is_number(self.listed[0])):
            return []
        arrays = [cell for cell in self.cells if isinstance(cell, np.ndarray)]
        return arrays if arrays and arrays[0].dtype.kind in "biuf" else []

    @property
    def listed(self) -> tuple[pa.DataType, int]:
        """Type inside Arrow's nested lists, and the depth of nesting."""
        assert self.type is not None
        return innermost(self.type)

    @property
    def files(self) -> list[dict[str, Any]]:
        """The sampled cells with content, if each is a file inside the table: a record of `bytes` and `path`."""
        kind = self.type
        if kind is None or not types.is_struct(kind) or {field.name for field in kind} != {"bytes", "path"}:
            return []
        return [cell for cell in self.cells if cell["bytes"] or cell["path"]]

    @property
    def binaries(self) -> list[bytes]:
        """The sampled cells of a column of bytes."""
        kind = self.type
        binary = kind is not None and (
            types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
        )
        return self.cells if binary else []


def is_text(column: pa.ChunkedArray | np.ndarray) -> bool:
    """Whether a column holds strings."""
    if isinstance(column, np.ndarray):
        return False
    return is_string(column.type)


def is_string(kind: pa.DataType) -> bool:
    """Whether a type is any of Arrow's strings."""
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def is_url(cell: str) -> bool:
    """Whether a string is a web address."""
    return bool(_URL.match(cell))


def mostly(test: Callable[[Any], bool], cells: list[Any]) -> bool:
    """Whether four fifths of the cells pass a test."""
    return sum(map(test, cells)) >= _MOST * len(cells)


def shape_of(arrays: list[np.ndarray]) -> str:
    """Common shape of arrays in words."""
    return " x ".join(map(str, arrays[0].shape)) if len({a.shape for a in arrays}) == 1 else "differing size"
