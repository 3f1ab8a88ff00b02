"""Long tables, which have one row per instant: the rows of each series become one row with one cell.

Axis letters: N readings, sorted by series and time; S series; M instants of all series; C channels.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.experiment import Source
from kontrast.data.schema import split
from kontrast.data.sources import long_remarks
from kontrast.data.sources.instants import MOSTLY_GAPS, Placed, Readings, differences, places, rhythm
from kontrast.data.sources.join import taken
from kontrast.data.sources.long_columns import cell_name, first_cells, layout, numbers_of
from kontrast.data.tables import arrow_cache
from kontrast.data.tables.column_reader import plain
from kontrast.data.tables.frame import Column, Frame
from kontrast.data.tables.record import single

AT_ONCE = 16_000_000  # numbers gathered at a time
_LONGEST = 1_000  # instants per reading of a series beyond which one of its times must be wrong
_SPLIT = "split"


def gathered(frame: Frame, source: Source, chosen: Mapping[str, str], cache: Path | None) -> tuple[Frame, Source]:
    """One row per series, if the source names the column of series.

    Args:
        frame: One row per instant, in any order.
        source: Names the columns; channels, sampling and step are chosen from the rows where it leaves them open.
        chosen: Column -> kind, as the user said.
        cache: Folder for the gathered table; None holds it in memory.

    Returns:
        The rows and the source with what was chosen; both as they came if no series are named.

    Raises:
        UserError: a column that is missing or cannot be read, one series, no channel, or a time far from all others.
    """
    if source.series is None:
        _refuse_alone(source)
        return frame, source
    first = source.channels is None
    if not first and frame.columns.keys().isdisjoint({source.series, *(source.channels or ())}):
        return frame, source  # no long table: series in cells, or a single one to search by
    readings = _sorted(frame, source, chosen)
    if first:
        _refuse_few(frame, source, readings)
    found = layout(frame, source, chosen, readings.rows, readings.starts)
    source, placed = _sampled(frame, replace(source, channels=found.channels), readings)
    lengths = placed.at[readings.starts + readings.counts - 1] + 1
    remarks = long_remarks.remarks(frame, source, readings, found, placed, lengths)
    columns: dict[str, Column] = {}
    for name, rows in (_head(source, readings) | found.kept).items():
        columns[name] = first_cells(frame, name, rows)
    cell = cell_name(source)
    columns[cell] = _written(frame, source, readings, placed.at, lengths, cell, cache)
    notes = (*frame.notes, *(remark.words for remark in remarks))
    return replace(frame, columns=columns, notes=notes, remarks=(*frame.remarks, *remarks)), source


def asked_of(source: Source) -> dict[str, str]:
    """Kinds of the columns that gathering makes."""
    if source.series is None:
        return {}
    return {source.series: "id", **({source.time: "meta"} if source.time else {}), cell_name(source): "series"}


def _head(source: Source, readings: Readings) -> dict[str, np.ndarray]:
    """Series and first time: column -> (S,) rows."""
    first = readings.rows[readings.starts]
    return {name: first for name in (source.series, source.time) if name is not None}


def _refuse_alone(source: Source) -> None:
    """Refuses settings of a long table without its series."""
    for name in ("time", "channels", "step"):
        if vars(source)[name] is not None:
            raise UserError(
                f"source.{name}={vars(source)[name]!r} belongs to a long table; expected source.series, too, the "
                "column that says which series a row belongs to: --series COLUMN."
            )


def _refuse_few(frame: Frame, source: Source, readings: Readings) -> None:
    """Refuses one series, and series of one instant each."""
    if len(readings.starts) == 1:
        raise UserError(
            f"{frame.name}: all rows are of one series of '{source.series}'; expected two or more to learn from. Name "
            "the column that tells series apart, or number parts of the one series in a new column."
        )
    if readings.counts.max() == 1:
        raise UserError(
            f"{frame.name}: each value of '{source.series}' is in one row only; expected several rows per series, one "
            "per instant. Name the column that repeats over a series, or leave --series out if a row is a series."
        )


def _column(frame: Frame, name: str, what: str) -> pa.ChunkedArray:
    if name not in frame.columns:
        raise UserError(f"{frame.name} has no column '{name}', which is the {what}{did_you_mean(name, frame.columns)}")
    column = frame.columns[name]
    if isinstance(column, np.ndarray) or not single(column):
        raise UserError(f"{frame.name}: '{name}', the {what}, holds lists or arrays; expected one value per row.")
    return plain(column)


def _sorted(frame: Frame, source: Source, chosen: Mapping[str, str]) -> Readings:
    """Rows by series, in the order in which these first occur, then by time; rows of one time in their order."""
    assert source.series is not None
    codes = _series_codes(frame, source.series, chosen)
    if source.time is None:
        times = np.arange(len(frame), dtype=np.float64)
    else:
        times = split.seconds(_column(frame, source.time, "time"), f"{frame.name}: '{source.time}'")
    known = (codes >= 0) & ~np.isnan(times)
    rows = np.flatnonzero(known)
    if not len(rows):
        empty = f"'{source.series}'" if (codes < 0).all() else f"'{source.time}'"
        raise UserError(f"{frame.name}: {empty} is empty in every row; expected a series and a time per row.")
    codes, times = codes[rows], times[rows]
    ahead = (np.diff(codes) > 0) | ((np.diff(codes) == 0) & (np.diff(times) >= 0))
    if not ahead.all():
        order = np.lexsort((times, codes))
        rows, codes, times = rows[order], codes[order], times[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    return Readings(rows, starts, times, len(frame) - len(rows))


def _series_codes(frame: Frame, name: str, chosen: Mapping[str, str]) -> np.ndarray:
    """Number of each row's series, -1 if it is missing: (N,) int64. A name in two parts of a split is two series."""
    column = _column(frame, name, "series")
    if types.is_string(column.type) or types.is_large_string(column.type):
        column = _without_empty(column)
    codes = _numbered(column)
    sides = next((n for n, kind in chosen.items() if kind == _SPLIT), _SPLIT)
    if sides != name and sides in frame.columns and chosen.get(sides, _SPLIT) == _SPLIT:
        side = frame.columns[sides]
        if not isinstance(side, np.ndarray) and types.is_string(side.type):
            parts = _numbered(side)
            codes = np.where(codes < 0, -1, codes * (parts.max(initial=0) + 2) + parts + 1)
    return codes


def _without_empty(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.call_function("if_else", [pc.call_function("equal", [column, ""]), None, column])


def _numbered(column: pa.ChunkedArray) -> np.ndarray:
    """Values numbered in the order of their first occurrence, -1 if missing."""
    if types.is_null(column.type):
        return np.full(len(column), -1)
    chunks = column.dictionary_encode().chunks  # one dictionary for all chunks
    parts = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in chunks]
    return np.concatenate([np.empty(0, np.int64), *parts]).astype(np.int64)


def _sampled(frame: Frame, source: Source, readings: Readings) -> tuple[Source, Placed]:
    """The source with sampling and step, and the place of each reading in its series."""
    in_order = places(readings.times, readings.starts, None)
    if source.time is None:
        if source.sampling in ("grid", "elapsed"):
            raise UserError(f"source.sampling='{source.sampling}' goes by times; expected their column: --time COLUMN.")
        return replace(source, sampling="order", step=None), Placed(in_order, None, None)
    beat = rhythm(differences(readings.times, readings.starts))
    step = source.step or (beat.step if beat else None)
    if step is None:
        raise UserError(
            f"{frame.name}: '{source.time}' has one time only within each series of '{source.series}'; expected a time "
            "per instant. Name another column, or leave --time out to take the rows in their order."
        )
    source = replace(source, step=step)
    if source.sampling in ("elapsed", "order"):
        return source, Placed(in_order, beat, None)
    at, last = places(readings.times, readings.starts, step), readings.starts + readings.counts - 1
    width = float((at[last] + 1.0).sum() / (in_order[last] + 1.0).sum())
    if source.sampling == "auto" and width > MOSTLY_GAPS and not (beat and beat.regular):
        return replace(source, sampling="elapsed"), Placed(in_order, beat, width)
    _refuse_far(frame, source, readings, at[last] + 1, step)
    return replace(source, sampling="grid"), Placed(at, beat, width)


def _refuse_far(frame: Frame, source: Source, readings: Readings, lengths: np.ndarray, step: float) -> None:
    """Refuses a series with a time so far from the others that it would be all gap."""
    worst = int(np.argmax(lengths / readings.counts))
    if lengths[worst] <= max(_LONGEST, _LONGEST * int(readings.counts[worst])):
        return
    assert source.series is not None
    assert source.time is not None
    begin = int(readings.starts[worst])
    jump = begin + 1 + int(np.argmax(np.diff(readings.times[begin : begin + readings.counts[worst]])))
    rows = [int(readings.rows[jump - 1]), int(readings.rows[jump])]
    (name, _), (before, after) = frame.cells(source.series, rows), frame.cells(source.time, rows)
    raise UserError(
        f"{frame.name}: the times of series {name!r} jump from {before} to {after}, so its {readings.counts[worst]:,} "
        f"readings would take {lengths[worst]:,} instants of {step:g}; correct these times, cut the series there, or "
        "go without a grid: --set source.sampling=elapsed."
    )


def _written(
    frame: Frame, source: Source, readings: Readings, at: np.ndarray, lengths: np.ndarray, cell: str, cache: Path | None
) -> pa.ChunkedArray:
    """The cells of all series: lists of numbers, or of as many numbers per instant as there are channels."""
    width = len(source.channels or ()) + (source.sampling == "elapsed")
    inner = pa.float32() if width == 1 else pa.list_(pa.float32(), width)
    schema = pa.schema([(cell, pa.large_list(inner))])

    def read() -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        return schema, _batches(frame, source, readings, at, lengths, schema)

    name = f"{frame.name} by {source.series}"
    return arrow_cache.fetched(name, cache, read)[cell]


def _batches(
    frame: Frame, source: Source, readings: Readings, at: np.ndarray, lengths: np.ndarray, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Some series at a time."""
    channels = source.channels or ()
    elapsed = source.sampling == "elapsed"
    width, ends = len(channels) + elapsed, lengths.cumsum()
    bounds = np.append(readings.starts, len(readings.rows))
    start = 0
    while start < len(lengths):
        most = ends[start] - lengths[start] + AT_ONCE // width
        stop = max(start + 1, int(np.searchsorted(ends, most, side="right")))
        part, size = slice(bounds[start], bounds[stop]), lengths[start:stop]
        offsets = np.append(0, size.cumsum())
        slots = at[part] + np.repeat(offsets[:-1], readings.counts[start:stop])
        x = np.full((offsets[-1], width), np.nan, np.float32)
        for place, name in enumerate(channels):
            column = frame.columns[name]
            assert not isinstance(column, np.ndarray)
            values = numbers_of(pa.chunked_array([taken(plain(column), readings.rows[part])]))
            x[:, place] = _averaged(values, slots, len(x))
        if elapsed:
            gaps = differences(readings.times[part], readings.starts[start:stop] - bounds[start])
            gaps[np.isnan(gaps)] = 0.0
            x[slots[::-1], -1] = np.log1p(gaps / (source.step or 1.0))[::-1]  # of equal times the first
        flat = pa.array(x.reshape(-1))
        inner = flat if width == 1 else pa.FixedSizeListArray.from_arrays(flat, width)
        yield pa.record_batch([pa.LargeListArray.from_arrays(pa.array(offsets), inner)], schema=schema)
        start = stop


def _averaged(values: np.ndarray, slots: np.ndarray, size: int) -> np.ndarray:
    """Mean of the known values of each slot, NaN if there is none: (M,) float64."""
    known = ~np.isnan(values)
    values, slots = values[known], slots[known]
    if (np.diff(slots) > 0).all():
        found = np.full(size, np.nan)
        found[slots] = values
        return found
    counts = np.bincount(slots, minlength=size)
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, np.bincount(slots, values, minlength=size) / counts, np.nan)
