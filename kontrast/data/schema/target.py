"""Contract of a target: a column that training learns from or groups by.

Each kind has a file in targets/.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types
import torch
from torch import Tensor

from kontrast.core import factory, registry
from kontrast.core.errors import UserError
from kontrast.data.schema import fingerprint
from kontrast.data.schema.fields import Field
from kontrast.data.schema.missing_values import missing
from kontrast.data.tables.column_reader import coded, is_number, plain, read_cells
from kontrast.data.tables.frame import Column, Frame, chunks

_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)


class Target(ABC):
    """A column whose values training uses as a key of each row.

    It is fitted to training rows and holds only their values. Validation and held-out rows are never read, and their
    keys are those of an unknown value, so no label, number or group outside training has an effect.

    Args:
        column: The column it is made of.
        who: Begins messages.
    """

    ROOM = "targets"

    recipe: ClassVar[str] = ""
    """The usual recipe that learns from such a target; "" if there is none."""

    flags: ClassVar[bool] = False
    """Whether all columns of yes and no together are one target, in which each column is a class."""

    column: str
    """The column that it is made of."""

    def __init__(self, *, column: str, who: str) -> None:
        self.column, self._who = column, who

    @abstractmethod
    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """Learns classes or scale, and keeps the values.

        Args:
            cells: Cells of the column in the T training rows.
            rows: (T,) ints, indices of these rows in the data set.
            ids: (N,) int64, at least 0: hashes of the ids of all rows, which make unknown values distinct.

        Raises:
            UserError: A cell is no such value.
        """

    @abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """What `fit` learned, as plain JSON values: number of classes, names, scale."""

    @abstractmethod
    def keys(self, index: np.ndarray) -> Tensor:
        """Keys of rows of the data set: (B,) or (B, C)."""


class Codes(Target, ABC):
    """A class per row.

    The key is int64: the index of the row's class among the classes of the training rows, from 0. A row without a
    class, and each row that does not train, has a negative number of its own.
    """

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """Learns the ordered classes of the training rows and the number of rows of each."""
        self._names, codes = classes(cells, self._who)
        self._counts = np.bincount(codes[codes >= 0], minlength=len(self._names)).tolist()
        self._values = unknown(ids)
        self._values[rows] = np.where(codes >= 0, codes, self._values[rows])

    def keys(self, index: np.ndarray) -> Tensor:
        """Keys of rows: (B,) int64."""
        return torch.from_numpy(self._values[index])


class Numbers(Target, ABC):
    """A number per row.

    The key is float64; NaN in rows without a number and in rows that do not train.
    """

    def keep(self, values: np.ndarray, rows: np.ndarray, ids: np.ndarray) -> None:
        """Keeps the numbers of the training rows and their scale.

        Args:
            values: (T,) floats; NaN or infinite in rows without a number.
            rows: (T,) ints, indices of these rows in the data set.
            ids: (N,) hashes of the ids of all rows; only their number is used.
        """
        self._scale = scale(values)
        self._values = np.full(len(ids), np.nan)
        self._values[rows] = np.where(np.isfinite(values), values, np.nan)

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """Learns the numbers of the training rows and their scale."""
        self.keep(numbers(cells, self._who), rows, ids)

    def facts(self) -> Mapping[str, Any]:
        """Number of training rows with a number (`known`); their `mean`, `std`, `low` and `high`."""
        return self._scale

    def keys(self, index: np.ndarray) -> Tensor:
        """Keys of rows: (B,) float64."""
        return torch.from_numpy(self._values[index])


class Vectors(Target, ABC):
    """A number per class and row.

    The key is (B, C) float32; zeros in rows that do not train.
    """

    def keep(self, values: np.ndarray, rows: np.ndarray, ids: np.ndarray) -> None:
        """Keeps the values of the training rows.

        Args:
            values: (T, C); zeros in rows without values.
            rows: (T,) ints, indices of these rows in the data set.
            ids: (N,) hashes of the ids of all rows; only their number is used.
        """
        self._values = values
        self._place = np.full(len(ids), -1)
        self._place[rows] = np.arange(len(rows))

    def keys(self, index: np.ndarray) -> Tensor:
        """Keys of rows: (B, C) float32."""
        place = self._place[index]
        found = np.zeros((len(place), self._values.shape[1]), np.float32)
        found[place >= 0] = self._values[place[place >= 0]]
        return torch.from_numpy(found)


def targets(
    frame: Frame, fields: Mapping[str, Field], kept: np.ndarray, training: np.ndarray, ids: np.ndarray
) -> dict[str, Target]:
    """Targets of a data set by key name, fitted to the training rows.

    Args:
        frame: All rows of the source.
        fields: Column -> field.
        kept: (N,) ints, indices of the usable rows in the frame.
        training: (N,) bool, the usable rows that train.
        ids: (N,) int64, hashes of the ids of the usable rows.

    Returns:
        Key name -> target. A kind with a single column has its name ("label"). With several columns each is called
        "label COLUMN", and the first has the bare name too.
    """
    found: dict[str, Target] = {}
    rows = np.flatnonzero(training)
    for kind in registry.kinds("targets"):
        columns = {n: _at(frame.columns[n], kept[rows]) for n, field in fields.items() if field.kind == kind}
        if columns and registry.load("targets", kind).flags:
            columns = _flags(columns, frame.name)
        for column, cells in columns.items():
            facts = {"column": column, "who": f"{frame.name}, column '{column}'"}
            made: Target = factory.build("targets", kind, {}, given=facts)
            made.fit(cells, rows, ids)
            if len(columns) > 1:
                found[f"{kind} {column}"] = made
            found.setdefault(kind, made)
    return found


def _flags(columns: Mapping[str, Column], who: str) -> dict[str, Column]:
    """Merges yes/no columns into lists of the names that are yes."""
    there = {name: numbers(column, f"{who}, column '{name}'") for name, column in columns.items() if _is_flag(column)}
    if not there:
        return dict(columns)
    by_row = zip(*there.values(), strict=True)
    lists = [[name for name, value in zip(there, row, strict=True) if value == 1] for row in by_row]
    rest = {name: column for name, column in columns.items() if name not in there}
    return {", ".join(there): pa.chunked_array([pa.array(lists, pa.list_(pa.string()))]), **rest}


def _is_flag(column: Column) -> bool:
    """Whether a column holds nothing but 0 and 1, or true and false."""
    if isinstance(column, np.ndarray):
        return column.ndim == 1 and column.dtype.kind in "biuf" and bool(np.isin(column, (0, 1)).all())
    if types.is_boolean(column.type):
        return True
    return is_number(column.type) and set(pc.call_function("unique", [column]).to_pylist()) <= {0, 1, None}


def facts(found: Mapping[str, Target]) -> dict[str, dict[str, Any]]:
    """Kind, column and facts of each target, as plain JSON values for run folders."""
    return {name: {"kind": _kind(made), "column": made.column, **made.facts()} for name, made in found.items()}


def asked_for(key: str) -> str:
    """Option that names the column of a key: `--label COLUMN`, `--field COLUMN=number`."""
    kind, _, column = key.partition(" ")
    return f"--label {column or 'COLUMN'}" if kind == "label" else f"--field {column or 'COLUMN'}={kind}"


def marks(found: Mapping[str, Target], rows: int) -> dict[str, str]:
    """Hash of each target's keys, for the fingerprint; labels are hashed there."""
    return {
        name: fingerprint.text(*(made.keys(np.arange(*piece)).numpy().tobytes() for piece in chunks(rows)))
        for name, made in found.items()
        if name != "label"
    }


def _kind(made: Target) -> str:
    return type(made).__name__.lower()


def _at(column: Column, rows: np.ndarray) -> Column:
    if isinstance(column, np.ndarray):
        return column[rows]
    if len(rows) == len(column):
        return column
    return pa.chunked_array([chunk.take(pa.array(at)) for chunk, at in _by_chunk(column, rows)], column.type)


def _by_chunk(column: pa.ChunkedArray, rows: np.ndarray) -> list[tuple[pa.Array, np.ndarray]]:
    """Rising rows by chunk; `ChunkedArray.take` would join all chunks first."""
    ends = np.cumsum([len(chunk) for chunk in column.chunks])
    cuts = np.split(rows, np.searchsorted(rows, ends)[:-1]) if len(ends) else []
    return [(chunk, cut - end + len(chunk)) for chunk, cut, end in zip(column.chunks, cuts, ends, strict=True)]


def unknown(ids: np.ndarray) -> np.ndarray:
    """Negative codes, (N,) int64, so that unknown values equal no others."""
    return -1 - (ids >> 1)


def classes(cells: Column, who: str) -> tuple[list[str], np.ndarray]:
    """Classes of a column, in order; numbers are ordered as numbers, others as strings.

    Returns:
        Names of the classes, and (T,) int64: the index of each cell's class, -1 if unknown.
    """
    values, codes = coded(cells)
    words = [class_name(value, who) for value in values]
    names = sorted(set(words) - {""})
    if all(map(_NUMBER.fullmatch, names)):
        names.sort(key=float)
    place = {name: at for at, name in enumerate(names)}
    return names, np.array([place.get(word, -1) for word in words], np.int64)[codes]


def class_name(cell: Any, who: str = "the label column") -> str:
    """Name of a class: 3.0 becomes "3"; None and NaN become "", which is unknown.

    Raises:
        UserError: The cell is a list or a record; `who` begins the message.
    """
    if isinstance(cell, np.ndarray | list | dict):
        raise UserError(
            f"{who} holds lists or records ({str(cell)[:60]}); expected one class per row. Several labels per row: "
            "--field COLUMN=labels."
        )
    if missing(cell):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def numbers(cells: Column, who: str) -> np.ndarray:
    """Reads a number per cell, also from strings.

    Returns:
        (T,) float64, NaN where there is none.

    Raises:
        UserError: A cell is no number; `who` begins the message.
    """
    if isinstance(cells, np.ndarray):
        if cells.ndim == 1 and cells.dtype.kind in "biuf":
            return cells.astype(np.float64)
        found = [np.nan if cell is None else cell for cell in cells]
        if any(not isinstance(cell, int | float | np.number) for cell in found):
            raise UserError(f"{who} holds {type(cells[0]).__name__}; expected one number per row.")
        return np.array(found, np.float64)
    column = plain(cells)
    if types.is_string(column.type) or types.is_large_string(column.type):
        return np.array([_number(cell, who) for cell in column.to_pylist()], np.float64)
    if not (is_number(column.type) or types.is_boolean(column.type) or types.is_null(column.type)):
        raise UserError(f"{who} holds {column.type}; expected one number per row.")
    return column.cast(pa.float64()).to_numpy().astype(np.float64)


def _number(cell: str | None, who: str) -> float:
    if cell is None or not cell.strip():
        return np.nan
    try:
        return float(cell)
    except ValueError:
        raise UserError(f"{who} says '{cell[:40]}'; expected one number per row.") from None


def scale(values: np.ndarray) -> dict[str, Any]:
    """Facts of numbers: how many are known, their mean, standard deviation and range."""
    known = values[np.isfinite(values)]
    if not len(known):
        return {"known": 0}
    return {
        "known": len(known),
        "mean": float(known.mean()),
        "std": float(known.std()),
        "low": float(known.min()),
        "high": float(known.max()),
    }


def rows_of_numbers(cells: Column, who: str) -> list[np.ndarray | None]:
    """Reads a list of numbers per cell, None where there is none.

    Raises:
        UserError: A cell is no list of numbers; `who` begins the message.
    """
    found: list[np.ndarray | None] = []
    for cell in read_cells(cells, np.arange(len(cells))):
        row = None if cell is None else np.asarray(cell)
        if row is not None and row.size and (row.ndim != 1 or row.dtype.kind not in "biuf"):
            raise UserError(f"{who} holds {str(cell)[:60]!r}; expected a list of numbers per row.")
        found.append(row if row is not None and row.size else None)
    return found


def rows_of_one_width(
    cells: Column, who: str, expected: str, checked: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Lists of numbers of one width as an array: (T, C) float32, zeros in rows without a list.

    Args:
        cells: T cells.
        who: Begins each message.
        expected: What was expected of lists of several widths, for the message.
        checked: Gives the values of a list, or raises UserError.

    Raises:
        UserError: A cell is no list of numbers, or lists differ in width.
    """
    found = rows_of_numbers(cells, who)
    widths = sorted({len(row) for row in found if row is not None})
    if len(widths) > 1:
        raise UserError(f"{who} holds lists of {widths[0]} and of {widths[-1]} numbers; expected {expected}.")
    values = np.zeros((len(found), widths[0] if widths else 0), np.float32)
    for at, row in enumerate(found):
        if row is not None:
            values[at] = checked(row)
    return values
