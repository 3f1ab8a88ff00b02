"""Stable hashes: of an id, of what a row holds, of a column before it is read, of a whole data set."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from kontrast.core import random_streams
from kontrast.data.tables.frame import Column, Frame

_ROWS = 4096  # rows hashed at a time


def number(data: bytes) -> int:
    """63 bits, never negative."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") >> 1


def numbers(ids: Iterable[str]) -> np.ndarray:
    """(N,) int64 of strings."""
    return np.fromiter((number(text.encode("utf8", "surrogatepass")) for text in ids), np.int64)


def rows(content: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N,) int64, equal where the content of every field is; a field that is missing is one content more."""
    mixed = torch.zeros(1, dtype=torch.int64)
    for codes in content.values():
        mixed = random_streams.mix(mixed * 31 + torch.from_numpy(np.where(codes < 0, -1, codes)))
    return mixed.numpy()


def content(packed: np.ndarray) -> int:
    """Of a row as it is cached: equal where dtype, shape and every value are."""
    return number(f"{packed.dtype.str}{packed.shape}".encode() + packed.tobytes())


def text(*parts: str | bytes) -> str:
    """24 hex digits of all parts, each told apart from the next."""
    return _text(parts)


def _text(parts: Iterable[str | bytes]) -> str:
    hashed = hashlib.blake2b(digest_size=12)
    for part in parts:
        data = part.encode("utf8", "surrogatepass") if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "little"))
        hashed.update(data)
    return hashed.hexdigest()


def of_column(column: Column, folder: Path) -> str:
    """Of a column before it is read: its values, and size and time of change of every file that it names."""
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
    """Of those columns of a frame."""
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
    """What data.json keeps: rows, fields and hashes that are equal where ids, labels, split and every cached value
    are; of validation rows and of targets other than the label only where there are some.

    side: (N,) ints: 0 train, 1 validation, 2 held out. targets: key -> a hash of what training rows hold there.
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
    """One after the other, and not all in a list."""
    for start in range(0, len(strings), _ROWS):
        yield from strings[start : start + _ROWS].tolist()


def trained(content: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """What is kept of the rows trained on, so that scoring on them can be told: field -> sorted distinct hashes of what
    they hold, eight bytes a row.
    """
    return {name: np.unique(codes[rows][codes[rows] >= 0]) for name, codes in content.items()}


def seen(content: Mapping[str, np.ndarray], known: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N,) bool: the rows of which every field that they have was trained on.

    By what is cached of them, not by their ids: row 17 of another file is another row, and a copied row has another id.
    """
    found = np.zeros(len(next(iter(content.values()))), bool)
    new = np.zeros_like(found)
    for name, codes in content.items():
        hit = np.isin(codes, known[name]) if name in known else np.zeros_like(found)
        found |= hit
        new |= ~hit & (codes >= 0)
    return found & ~new


def of_rows(ids: np.ndarray, contents: Mapping[str, np.ndarray]) -> str:
    """Of rows that are judged: one word for each score, equal where ids and all cached values are."""
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
    try:
        state = path.stat()
    except (OSError, ValueError):  # no file, or a string that is no path at all
        return "-"
    return f"{state.st_size} {state.st_mtime_ns};"
