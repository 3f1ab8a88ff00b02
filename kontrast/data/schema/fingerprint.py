"""Stable hashes of ids, row contents, unread columns and data sets."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from kontrast.core import random_streams
from kontrast.data.packed_row import PackedRow, arrays
from kontrast.data.tables.frame import Column, Frame

_ROWS = 4096  # rows hashed at a time


def number(data: bytes) -> int:
    """Hash of bytes: a non-negative integer of 63 bits."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") >> 1


def numbers(ids: Iterable[str]) -> np.ndarray:
    """Hashes of strings: (N,) int64."""
    return np.fromiter((number(text.encode("utf8", "surrogatepass")) for text in ids), np.int64)


def rows(content: Mapping[str, np.ndarray]) -> np.ndarray:
    """Hashes of rows: (N,) int64, equal if the content of every field is.

    All missing values of a field count as equal.
    """
    mixed = torch.zeros(1, dtype=torch.int64)
    for codes in content.values():
        mixed = random_streams.mix(mixed * 31 + torch.from_numpy(np.where(codes < 0, -1, codes)))
    return mixed.numpy()


def content(packed: PackedRow) -> int:
    """Hash of a cached row: equal if names, dtypes, shapes and all values are."""
    parts = arrays(packed).items()
    return number(b"".join(f"{name}{a.dtype.str}{a.shape}".encode() + a.tobytes() for name, a in parts))


def text(*parts: str | bytes) -> str:
    """Hash of a sequence of parts, 24 hex digits; where a part ends matters."""
    return _text(parts)


def _text(parts: Iterable[str | bytes]) -> str:
    hashed = hashlib.blake2b(digest_size=12)
    for part in parts:
        data = part.encode("utf8", "surrogatepass") if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "little"))
        hashed.update(data)
    return hashed.hexdigest()


def of_column(column: Column, folder: Path) -> str:
    """Hash of a column before it is decoded.

    Covers its values, and size and time of change of the files that it names.
    """
    hashed = hashlib.blake2b(digest_size=12)
    hashed.update(str(column.dtype if isinstance(column, np.ndarray) else column.type).encode())
    files = not isinstance(column, np.ndarray) and _names_files(column.slice(0, 100), folder)
    for start in range(0, len(column), _ROWS):
        if isinstance(column, np.ndarray):
            _hash_array(hashed, column[start : start + _ROWS])
            continue
        part = column.slice(start, _ROWS)
        joined = part.combine_chunks()
        for array in joined.chunks if isinstance(joined, pa.ChunkedArray) else [joined]:
            hashed.update(pa.record_batch([array], ["x"]).serialize())
        if files:
            hashed.update("".join(_stamp(folder / cell) for cell in part.to_pylist() if cell).encode())
    return hashed.hexdigest()


def of_frame(frame: Frame, names: Iterable[str]) -> str:
    """Hash of some columns of a frame."""
    parts = [part for name in names for part in (name, of_column(frame.columns[name], frame.folder))]
    return text(str(len(frame)), *parts)


def of_dataset(
    ids: np.ndarray,
    labels: np.ndarray | None,
    side: np.ndarray,
    contents: Mapping[str, np.ndarray],
    kinds: Mapping[str, str],
    targets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Fingerprint of a data set, for data.json.

    Args:
        ids: (N,) strings.
        labels: (N,) strings; None if there are none.
        side: (N,) ints: 0 train, 1 validation, 2 held out.
        contents: Field -> (N,) int64 hashes of the cached content, negative in rows without the field.
        kinds: Field -> kind.
        targets: Key -> hash of its values in training rows. Default: none.

    Returns:
        Counts and hashes that are equal if ids, labels, split and all cached values are. Validation rows and targets
        other than the label are included only if there are some.
    """
    held_out, validation = side == 2, side == 1
    fields = {
        name: {
            "kind": kinds[name],
            "rows": int((codes >= 0).sum()),
            "content": text(np.where(codes < 0, -1, codes).astype("<i8").tobytes()),
        }
        for name, codes in contents.items()
    }
    found = {
        "rows": len(ids),
        "held_out": int(held_out.sum()),
        "ids": _text(_each(ids)),
        "labels": _text(_each(labels)) if labels is not None else None,
        "split": text(np.packbits(held_out).tobytes()),
        "fields": fields,
    }
    if validation.any():
        found["validation"] = text(np.packbits(validation).tobytes())
    return {**found, "targets": dict(targets)} if targets else found


def _each(strings: np.ndarray) -> Iterator[str]:
    """Yields the strings without a list of all of them."""
    for start in range(0, len(strings), _ROWS):
        yield from strings[start : start + _ROWS].tolist()


def trained(content: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Sorted distinct hashes of the training rows' content, by field.

    A run keeps them to detect evaluation on training rows.
    """
    return {name: np.unique(codes[rows][codes[rows] >= 0]) for name, codes in content.items()}


def trained_rows(content: Mapping[str, np.ndarray], known: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rows that were trained on in every field that they have.

    They are compared by cached content, not by id: row 17 of another file is another row, and a copy has another id.

    Args:
        content: Field -> (N,) int64 hashes of the rows' content, negative in rows without the field.
        known: Field -> hashes of the training rows, as `trained` returns them.

    Returns:
        (N,) bool.
    """
    found = np.zeros(len(next(iter(content.values()))), bool)
    new = np.zeros_like(found)
    for name, codes in content.items():
        hit = np.isin(codes, known[name]) if name in known else np.zeros_like(found)
        found |= hit
        new |= ~hit & (codes >= 0)
    return found & ~new


def of_rows(ids: np.ndarray, contents: Mapping[str, np.ndarray]) -> str:
    """Hash of the evaluated rows: equal if ids and all cached values are."""
    parts = [part for name, codes in contents.items() for part in (name, np.where(codes < 0, -1, codes).tobytes())]
    return text(_text(_each(ids)), *parts)


def _hash_array(hashed: Any, part: np.ndarray) -> None:
    if part.dtype != object:
        hashed.update(np.ascontiguousarray(part).view(np.uint8).data if part.size else b"")
        return
    for cell in part:
        array = np.asarray(cell) if cell is not None else np.empty(0)
        hashed.update(f"{type(cell).__name__}{array.dtype.str}{array.shape}".encode())
        hashed.update(array.tobytes() if array.dtype != object else repr(cell).encode())


def _names_files(column: pa.ChunkedArray, folder: Path) -> bool:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    return any(_stamp(folder / cell) != "-" for cell in column.to_pylist() if cell)


def _stamp(path: Path) -> str:
    """Size and time of change of a file, or of each file in a folder (of frames)."""
    try:
        state = path.stat()
        inside = [one.stat() for one in sorted(path.iterdir())] if S_ISDIR(state.st_mode) else []
    except (OSError, ValueError):  # no file, or no valid path
        return "-"
    return "".join(f"{one.st_size} {one.st_mtime_ns};" for one in (state, *inside))
