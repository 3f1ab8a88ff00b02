"""Views of several columns: one more column of a frame, which holds a record of them per row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from kontrast.core.choice import Choice
from kontrast.data.tables.column_reader import plain
from kontrast.data.tables.frame import Column, Frame

_ROWS = 65_536  # per chunk, so that no reader copies much more than it asks for


def with_records(frame: Frame, views: Mapping[str, Choice]) -> Frame:
    """Adds the record of each view that reads several columns, under the view's name.

    A column that the frame lacks is missing in each record; if it lacks all of them, there is no record. Nothing is
    copied. A view whose own column is in the data stays as it is.

    Args:
        frame: Rows as opened.
        views: View -> its modality with settings; one with `columns` reads these.
    """
    added: dict[str, Column] = {}
    for name, view in views.items():
        columns = view.settings.get("columns")
        if isinstance(columns, list | tuple) and not set(columns).isdisjoint(frame.columns) and not own(frame, name):
            added[name] = record(frame, columns)
    return replace(frame, columns={**frame.columns, **added}) if added else frame


def own(frame: Frame, name: str) -> bool:
    """Whether a column of the data itself holds records."""
    column = frame.columns.get(name)
    return column is not None and not isinstance(column, np.ndarray) and types.is_struct(column.type)


def single(column: Column) -> bool:
    """Whether cells are single values: numbers, truth values, strings, dates, times."""
    return not isinstance(column, np.ndarray) and plain_type(plain(column).type)


def plain_type(kind: pa.DataType) -> bool:
    """Whether Arrow's type is one of single values."""
    return not (types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind))


def read_by(views: Mapping[str, Choice]) -> frozenset[str]:
    """Columns that views of several columns read."""
    found = (view.settings.get("columns") for view in views.values())
    return frozenset(name for columns in found if isinstance(columns, list | tuple) for name in columns)


def record(frame: Frame, columns: Sequence[str]) -> pa.ChunkedArray:
    """A struct of some columns; those that the frame lacks, and those of arrays, are null."""
    parts: dict[str, pa.ChunkedArray] = {}
    for name in columns:
        column = frame.columns.get(name)
        lacking = column is None or isinstance(column, np.ndarray)
        parts[name] = pa.chunked_array([pa.nulls(len(frame))]) if lacking else plain(column)
    table = pa.table(parts)
    batches = table.to_batches(max_chunksize=_ROWS)
    structs = [pa.StructArray.from_arrays(batch.columns, fields=list(batch.schema)) for batch in batches]
    return pa.chunked_array(structs, pa.struct(list(table.schema)))
