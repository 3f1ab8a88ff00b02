"""Inner and outer joins of two Frames by a key, in bounded memory."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from kontrast.core.errors import UserError
from kontrast.data.schema import fingerprint
from kontrast.data.schema.fields import file_fields, infer
from kontrast.data.tables import arrow_cache
from kontrast.data.tables.column_reader import read_cells
from kontrast.data.tables.frame import Column, Frame, widest

_ROWS = 4096  # rows written at a time
_FEW = 2**15  # chunks that 16 bits can number


def moved(paths: pa.ChunkedArray, old: Path, new: Path) -> pa.ChunkedArray:
    """Rewrites paths relative to one folder as relative to another; absolute if outside of it."""
    where, base = old.resolve(), new.resolve()
    if where == base:
        return paths
    prefix = (where.relative_to(base) if where.is_relative_to(base) else where).as_posix()
    absolute = pc.call_function("starts_with", [paths], pc.MatchSubstringOptions("/"))
    return pc.call_function(
        "if_else", [absolute, paths, pc.call_function("binary_join_element_wise", [prefix, paths, "/"])]
    )


def named(name: str, frame: Frame) -> pa.Array:
    """Id per row that is unique across sources: NAME/ID, NAME/PATH for files, or NAME/ROW."""
    fields = infer(frame, {}, None)
    ids = [column for column, field in fields.items() if field.kind == "id"] or file_fields(fields, frame)
    column = frame.columns[ids[0]] if ids else None
    if column is None or isinstance(column, np.ndarray):
        column = pa.chunked_array([pa.array(np.arange(len(frame)))])
    found = pc.call_function("binary_join_element_wise", [name, column.cast(pa.string()), "/"])
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def joined(one: Frame, key: str, two: Frame, other: str, *, outer: bool, cache: Path | None) -> Frame:
    """Rows whose keys are equal, in the order of `one`, then of `two`.

    Columns of `two` whose name `one` has too get the name of `two` appended.

    Args:
        one: Left side.
        key: Its column.
        two: Right side.
        other: Its column.
        outer: Whether rows without a partner stay.
        cache: Folder for the joined table; None holds it in memory.

    Raises:
        UserError: the key repeats on both sides, or holds lists.
    """
    left, right = _keys(one, key), _keys(two, other)
    if left.type != right.type:
        left, right = left.cast(pa.string()), right.cast(pa.string())
    if _repeats(left) and _repeats(right):
        raise UserError(
            f"the key repeats both in {one.name} ('{key}') and in {two.name} ('{other}'); each row would meet several "
            "on both sides. Expected one side with one row per key."
        )
    rows = _pairs(left, right, outer)
    columns = {name: (values, rows[0]) for name, values in one.columns.items()}
    for name, values in two.columns.items():
        if name != other:
            columns[f"{name} ({two.name})" if name in columns else name] = (values, rows[1])
    arrays: dict[str, Column] = {}
    tables: dict[str, tuple[pa.ChunkedArray, np.ndarray]] = {}
    for name, (values, index) in columns.items():
        if isinstance(values, np.ndarray):
            arrays[name] = _stacked(values, index)
        else:
            tables[name] = (values, index)
    both = (one.columns[key], two.columns[other], *rows)
    schema = pa.schema({n: left.type if n == key else values.type for n, (values, _) in tables.items()})

    def read() -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        return schema, _batches(tables, key, both, schema)

    marks = [fingerprint.of_frame(frame, frame.columns) for frame in (one, two)]
    table = arrow_cache.fetched(f"join {key} {other} {outer} {marks}", cache, read)
    return Frame(
        {n: arrays[n] if n in arrays else table[n] for n in columns},
        f"{one.name} + {two.name}",
        one.folder,
        widest((one, two)),
    )


def _keys(frame: Frame, key: str) -> pa.ChunkedArray:
    column = frame.columns[key]
    if not isinstance(column, np.ndarray) and not types.is_nested(column.type):
        return column
    raise UserError(f"{frame.name}: '{key}' holds lists or arrays; expected a number or a word to join by.")


def _repeats(keys: pa.ChunkedArray) -> bool:
    return pc.call_function("count_distinct", [keys]).as_py() < len(keys) - keys.null_count


def _pairs(left: pa.ChunkedArray, right: pa.ChunkedArray, outer: bool) -> tuple[np.ndarray, np.ndarray]:
    """(row of the left, row of the right) of every row of the result; -1 where there is none."""
    tables = [
        pa.table({"key": keys, side: pa.array(np.arange(len(keys)))})
        for side, keys in (("left", left), ("right", right))
    ]
    pairs = tables[0].join(tables[1], "key", join_type="full outer" if outer else "inner")
    one, two = (pairs[side].fill_null(-1).to_numpy() for side in ("left", "right"))
    order = np.lexsort((two, np.where(one < 0, len(left), one)))
    return one[order], two[order]


def _batches(
    tables: dict[str, tuple[pa.ChunkedArray, np.ndarray]],
    key: str,
    both: tuple[pa.ChunkedArray, pa.ChunkedArray, np.ndarray, np.ndarray],
    schema: pa.Schema,
) -> Iterator[pa.RecordBatch]:
    one, two, rows, others = both
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        arrays = {name: taken(values, index[part]) for name, (values, index) in tables.items()}
        kind = schema.field(key).type
        arrays[key] = pc.call_function(
            "coalesce", [taken(one, rows[part]).cast(kind), taken(two, others[part]).cast(kind)]
        )
        yield pa.record_batch([arrays[name] for name in schema.names], schema=schema)


def taken(column: pa.ChunkedArray, rows: np.ndarray) -> pa.Array:
    """Takes rows, -1 as null, per chunk: `ChunkedArray.take` would join the whole column in memory.

    Args:
        column: The column.
        rows: (N,) ints.
    """
    ends = np.cumsum([0, *map(len, column.chunks)])
    home = np.searchsorted(ends, rows, side="right") - 1
    home[rows < 0] = -1
    order = np.argsort(home.astype(np.int16) if len(ends) < _FEW else home, kind="stable")  # 16 bits: in linear time
    numbers, counts = np.unique(home, return_counts=True)
    parts, start = [], 0
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        at = order[start : start + count]
        start += count
        if number < 0:
            parts.append(pa.nulls(count, column.type))
        else:
            parts.append(column.chunk(number).take(pa.array(rows[at] - ends[number])))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return pa.concat_arrays(parts or [pa.nulls(0, column.type)]).take(pa.array(place))


def _stacked(column: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if (rows >= 0).all():
        return column[rows]
    kept = np.empty(len(rows), dtype=object)
    for place, row in enumerate(rows):
        kept[place] = read_cells(column, [int(row)])[0] if row >= 0 else None
    return kept
