"""Columns of a long table: which are channels of its series, and which hold one value per series.

Axis letters: N readings, sorted by series and time; S series.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.experiment import Source
from kontrast.data.sources.join import taken
from kontrast.data.tables.column_reader import is_number, plain
from kontrast.data.tables.frame import Column, Frame
from kontrast.data.tables.record import single

_CELLS = ("series", "values", "readings")


@dataclass(frozen=True)
class Layout:
    """What becomes of the columns of a long table.

    Attributes:
        channels: Columns that become channels, in their order.
        kept: Column -> (S,) row of its first known cell per series, -1 if there is none.
        left: Column -> why it is not used, unless the user said so.
    """

    channels: tuple[str, ...]
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def cell_name(source: Source) -> str:
    """Name of the column of series, which follows from the settings alone so that new data get the same."""
    return next(name for name in _CELLS if name not in (source.series, source.time))


def layout(frame: Frame, source: Source, chosen: Mapping[str, str], rows: np.ndarray, starts: np.ndarray) -> Layout:
    """Divides the columns by whether they change within a series.

    Args:
        frame: The long table.
        source: Its series, time and, if a run has chosen them, channels.
        chosen: Column -> kind, as the user said.
        rows: (N,) row number of each reading.
        starts: (S,) first reading of each series.

    Raises:
        UserError: no channel, a channel that is missing or holds no numbers, a target that changes within a series, or
            a column with the name that the series get.
    """
    found, channels = Layout(()), list[str]()
    for name, column in frame.columns.items():
        kind = chosen.get(name, "")
        if name in (source.series, source.time):
            continue
        if source.channels is not None and name in source.channels:
            channels.append(name)
            _checked(frame, name, column)
            continue
        if kind == "series" and source.channels is None:
            _checked(frame, name, column)
        if not single(column):
            found.left[name] = "lists or arrays"
            continue
        assert not isinstance(column, np.ndarray)
        numbers = is_channel(column)
        values = (numbers_of(column) if numbers else _codes(column))[rows]
        lowest, highest = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
        known = ~np.isnan(lowest)
        constant = bool((lowest[known] == highest[known]).all())
        changes = numbers and kind == "" and not constant
        if source.channels is None and (changes or kind == "series"):
            channels.append(name)
        elif constant:
            found.kept[name] = _first_known(values, rows, starts)
        elif kind != "ignore":
            row = int(np.flatnonzero(lowest != highest)[0])
            found.left[name] = _changing(frame, source, name, kind, int(rows[starts[row]]))
    _there(frame, source, channels, found)
    order = {name: place for place, name in enumerate(source.channels or channels)}
    return Layout(tuple(sorted(channels, key=order.__getitem__)), found.kept, found.left)


def is_channel(column: pa.ChunkedArray) -> bool:
    """Whether a column holds what a channel can: numbers or truth values."""
    kind = plain(column).type
    return is_number(kind) or types.is_boolean(kind)


def numbers_of(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Numbers of a column: (N,) float64, NaN where they are missing."""
    kind = column.type
    if types.is_null(kind):
        return np.full(len(column), np.nan)
    if isinstance(column, pa.ChunkedArray):
        return np.concatenate([np.empty(0), *(numbers_of(chunk) for chunk in plain(column).chunks)])
    if types.is_boolean(kind):
        column = column.cast(pa.int8())
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _checked(frame: Frame, name: str, column: Column) -> None:
    """Refuses a channel without numbers."""
    if isinstance(column, np.ndarray) or not (types.is_null(column.type) or (single(column) and is_channel(column))):
        held = "arrays" if isinstance(column, np.ndarray) else str(column.type)
        raise UserError(f"{frame.name}: the channel '{name}' holds {held}; expected a number in each row.")


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers that are equal for equal values: (N,) float64, NaN where a value is missing."""
    if types.is_null(column.type):
        return np.full(len(column), np.nan)
    chunks = plain(column).dictionary_encode().chunks  # one dictionary for all chunks
    return np.concatenate([np.empty(0), *(numbers_of(chunk.indices) for chunk in chunks)])


def _first_known(values: np.ndarray, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Row of the first known value of each series, -1 if there is none: (S,)."""
    place = np.where(np.isnan(values), len(values), np.arange(len(values)))
    first = np.minimum.reduceat(place, starts)
    return np.where(first < len(values), rows[first.clip(max=len(values) - 1)], -1)


def _changing(frame: Frame, source: Source, name: str, kind: str, row: int) -> str:
    """Why a column that changes within a series is left; UserError if the user needs it per series."""
    if kind not in ("", "meta", "series"):
        assert source.series is not None
        (first,) = frame.cells(source.series, [row])
        raise UserError(
            f"{frame.name}: '{name}' is chosen as the {kind} but changes within a series (of '{source.series}', "
            f"{first!r} is the first); expected one value per series. Leave it out with --field {name}=ignore, or name "
            "a series column whose rows share it."
        )
    return "changes within a series, and is no channel"


def _there(frame: Frame, source: Source, channels: list[str], found: Layout) -> None:
    """Refuses a table without channels, without one that is needed, or with a column named as the series."""
    missing = [name for name in source.channels or () if name not in channels]
    if missing:
        raise UserError(
            f"{frame.name} has no column '{missing[0]}'{did_you_mean(missing[0], frame.columns)} The series have the "
            f"channels {', '.join(source.channels or ())}."
        )
    if not channels:
        others = ", ".join(name for name in frame.columns if name not in (source.series, source.time)) or "none"
        raise UserError(
            f"{frame.name}: no column of numbers changes within the series of '{source.series}' (other columns: "
            f"{others}); expected one or more channels. Name one: --field COLUMN=series."
        )
    if cell_name(source) in {*found.kept, *found.left}:
        raise UserError(
            f"{frame.name} has a column '{cell_name(source)}', the name that its gathered series get; rename it."
        )


def first_cells(frame: Frame, name: str, rows: np.ndarray) -> pa.ChunkedArray:
    """Cells of a column in some rows, null for row -1."""
    column = frame.columns[name]
    assert not isinstance(column, np.ndarray)
    return pa.chunked_array([taken(column, rows)])
