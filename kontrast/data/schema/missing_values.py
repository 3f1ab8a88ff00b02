"""Words such as NA or null that mean a missing value, as in pandas."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from kontrast.data.tables.frame import Column, Frame

_CODE = re.compile("[A-Z]{2}")  # NA is Namibia among country codes
_CODES = 5  # distinct codes from which a column counts as one of codes
_SHOWN = 4  # columns that a note names


def missing(cell: Any) -> bool:
    """Whether a cell is None, blank, without bytes or entries, or all NaN."""
    if isinstance(cell, np.ndarray):
        return cell.size == 0 or (cell.dtype.kind == "f" and bool(np.isnan(cell).all()))
    if isinstance(cell, str):
        return not cell.strip()
    if isinstance(cell, Mapping):
        return all(map(missing, cell.values()))
    if isinstance(cell, list | tuple):
        return all(map(missing, cell))
    return cell is None or cell == b"" or (isinstance(cell, float) and cell != cell)


def emptied(frame: Frame, words: Sequence[str]) -> Frame:
    """Replaces string cells that mean a missing value by null, and notes it.

    Chunks without such cells are not copied and stay memory-mapped. A column whose other cells are two-letter codes in
    capitals keeps its NA.

    Args:
        frame: Rows before anything is decoded.
        words: Strings that mean a missing value, spaces around them ignored; none changes nothing.
    """
    if not words:
        return frame
    columns: dict[str, Column] = dict(frame.columns)
    found: dict[str, int] = {}
    for name, column in frame.columns.items():
        if not isinstance(column, np.ndarray) and _is_string(column.type):
            columns[name], count = _emptied(column, words)
            if count:
                found[name] = count
    if not found:
        return frame
    listed = ", ".join(f"{count:,} of '{name}'" for name, count in list(found.items())[:_SHOWN])
    more = f" and those of {len(found) - _SHOWN} more columns" if len(found) > _SHOWN else ""
    note = f"cells that say NA, NaN or null are taken as missing: {listed}{more}; to keep them: --set source.missing=[]"
    return replace(frame, columns=columns, notes=(*frame.notes, note))


def is_word(column: pa.Array | pa.ChunkedArray, words: Sequence[str]) -> pa.Array | pa.ChunkedArray:
    """Which string cells are among the words, as booleans; False for null."""
    trimmed = pc.call_function("utf8_trim_whitespace", [column])
    return pc.call_function("is_in", [trimmed], pc.SetLookupOptions(pa.array(list(words), column.type)))


def _emptied(column: pa.ChunkedArray, words: Sequence[str]) -> tuple[pa.ChunkedArray, int]:
    hits = [is_word(chunk, words) for chunk in column.chunks]
    counts = [pc.call_function("sum", [hit]).as_py() or 0 for hit in hits]
    if sum(counts) and _coded(column, hits):
        hits = [is_word(chunk, [word for word in words if word != "NA"]) for chunk in column.chunks]
        counts = [pc.call_function("sum", [hit]).as_py() or 0 for hit in hits]
    if not sum(counts):
        return column, 0
    chunks = [
        pc.call_function("if_else", [hit, pa.scalar(None, chunk.type), chunk]) if count else chunk
        for chunk, hit, count in zip(column.chunks, hits, counts, strict=True)
    ]
    return pa.chunked_array(chunks, column.type), sum(counts)


def _coded(column: pa.ChunkedArray, hits: Sequence[pa.Array]) -> bool:
    others: set[str] = set()
    for chunk, hit in zip(column.chunks, hits, strict=True):
        kept = chunk.filter(pc.call_function("invert", [hit])).drop_null()
        others |= set(pc.call_function("unique", [kept]).to_pylist())
        if any(not _CODE.fullmatch(word.strip()) for word in others if word.strip()):
            return False
    return len(others) >= _CODES


def _is_string(kind: pa.DataType) -> bool:
    return types.is_string(kind) or types.is_large_string(kind)
