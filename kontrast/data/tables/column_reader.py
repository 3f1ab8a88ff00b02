"""Cells of a column as Python values or arrays, without reading the rest of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds


def read_cells(column: pa.ChunkedArray | np.ndarray, rows: Sequence[int] | np.ndarray) -> list[Any]:
    """Reads some cells; lists of numbers become arrays, missing cells None.

    Each chunk is read by itself: `ChunkedArray.take` joins all chunks first, which takes 7 s and the whole column in
    memory for three cells of a memory-mapped gigabyte (pyarrow 26).

    Args:
        column: Arrow or numpy.
        rows: Numbers of the rows.
    """
    if isinstance(column, np.ndarray):
        return [column[i] for i in rows]
    index = np.asarray(rows, dtype=np.int64)
    ends = np.cumsum([len(chunk) for chunk in column.chunks])
    home = np.searchsorted(ends, index, side="right")
    out: list[Any] = [None] * len(index)
    for number in np.unique(home):
        places = np.flatnonzero(home == number)
        chunk = column.chunk(int(number))
        start = ends[number] - len(chunk)
        for place, value in zip(places, _values(chunk.take(pa.array(index[places] - start))), strict=True):
            out[place] = value
    return out


def coded(column: pa.ChunkedArray | np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Distinct values of a column, and (N,) int64 the place of each cell's value among them."""
    if isinstance(column, np.ndarray):
        return list(column), np.arange(len(column))
    if is_list(column.type) or kinds.is_struct(column.type):
        return read_cells(column, range(len(column))), np.arange(len(column))
    known = plain(column).dictionary_encode(null_encoding="encode")  # one dictionary for all chunks
    chunks = known.chunks
    values = chunks[0].dictionary.to_pylist() if chunks else []
    codes = [chunk.indices.to_numpy(zero_copy_only=False).astype(np.int64) for chunk in chunks]
    return values, np.concatenate(codes) if codes else np.zeros(0, np.int64)


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is any of Arrow's lists."""
    return kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)


def innermost(kind: pa.DataType) -> tuple[pa.DataType, int]:
    """Type inside nested lists, and the depth of nesting; 0 for no list."""
    depth = 0
    while is_list(kind):
        kind, depth = kind.value_type, depth + 1
    return kind, depth


def is_number(kind: pa.DataType) -> bool:
    """Whether a type is integer, float or decimal; bool is not."""
    return kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind)


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Column of ordinary values, without dictionaries and extension types.

    Half floats, for which Arrow has few functions, become floats. Instants become those that Python has: to the
    microsecond, and missing outside of the years 1 to 9999.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in column.chunks]
        return plain(pa.chunked_array(chunks, kind.storage_type))
    if kinds.is_float16(kind):
        return column.cast(pa.float32())
    if kinds.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    if kinds.is_timestamp(kind) or kinds.is_date(kind):
        return _in_calendar(column)
    return plain(column.cast(kind.value_type)) if kinds.is_dictionary(kind) else column


def without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Column with NaN as missing; chunks without NaN stay as they are."""
    if not kinds.is_floating(column.type):
        return column
    chunks = []
    for chunk in column.chunks:
        gaps = pc.call_function("is_nan", [chunk])
        there = pc.call_function("any", [gaps]).as_py()
        chunks.append(pc.call_function("if_else", [gaps, pa.scalar(None, chunk.type), chunk]) if there else chunk)
    return pa.chunked_array(chunks, column.type)


def _values(array: pa.Array) -> list[Any]:
    inner, depth = innermost(array.type)
    if depth and is_number(inner):
        return _arrays(array)
    try:
        return array.to_pylist()
    except (OverflowError, ValueError):  # moments inside of records
        return [_value(one) for one in array]


def _value(one: pa.Scalar) -> Any:
    """None if Python cannot hold the value, such as the year 292277026596."""
    try:
        return one.as_py()
    except (OverflowError, ValueError):
        return None


def _in_calendar(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    first, last = -719162, 2932897  # days from 1970 to the year 1, and to the year 10000
    if not kinds.is_date32(kind):
        zone = kinds.is_timestamp(kind) and kind.tz is not None  # which may move a moment by up to a day
        unit = {"s": 1, "ms": 10**3, "us": 10**6}["ms" if kinds.is_date64(kind) else kind.unit]
        first, last = (first + zone) * 86400 * unit, (last - zone) * 86400 * unit
    low, high = pc.call_function("min_max", [column]).values()
    if not low.is_valid or (low.value >= first and high.value < last):
        return column
    late = pc.call_function("greater_equal", [column, pa.scalar(last, kind)])
    early = pc.call_function("less", [column, pa.scalar(first, kind)])
    outside = pc.call_function("or", [early, late])
    return pc.call_function("if_else", [outside, pa.scalar(None, kind), column])


def _arrays(array: pa.Array) -> list[Any]:
    """A list array as one numpy array a cell (nested lists: stacked where they are equal, else left as lists); a null
    inside is NaN.
    """
    lengths = pc.call_function("list_value_length", [array]).fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths)
    flat = array.flatten()
    if kinds.is_fixed_size_list(flat.type) and is_number(flat.type.value_type) and not flat.null_count:
        inner = _numbers(flat.flatten()).reshape(len(flat), flat.type.list_size)  # at once, not an array per entry
    else:
        inner = _arrays(flat) if is_list(flat.type) else _numbers(flat)
    there = array.is_valid().to_numpy(zero_copy_only=False)
    pairs = zip(there, ends - lengths, ends, strict=True)
    return [_stacked(inner[start:end]) if ok else None for ok, start, end in pairs]


def _numbers(array: pa.Array) -> np.ndarray:
    if kinds.is_decimal(array.type) or (array.null_count and not kinds.is_floating(array.type)):
        array = array.cast(pa.float64())
    return array.to_numpy(zero_copy_only=False)


def _stacked(part: Any) -> Any:
    shapes = [p.shape if isinstance(p, np.ndarray) else None for p in part] if isinstance(part, list) else []
    return np.stack(part) if shapes and None not in shapes and len(set(shapes)) == 1 else part
