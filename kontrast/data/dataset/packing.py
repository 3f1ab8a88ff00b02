"""Reads, packs and caches every row once.

Threads decode rows; the cache has a store per field; unreadable rows are listed with a reason.
"""

import inspect
import json
import os
import shutil
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kontrast.core.atomic_files import atomic_cache
from kontrast.core.errors import Unreadable, UserError
from kontrast.data.dataset.store import OnDemand, Store, Writer, opened
from kontrast.data.modality import Modality
from kontrast.data.packed_row import PackedRow, is_packed, nbytes
from kontrast.data.schema import fingerprint
from kontrast.data.schema.missing_values import missing
from kontrast.data.schema.path_guard import gate
from kontrast.data.tables.frame import Frame

_LAYOUT = "2"  # part of every cache key; changes if packing the same rows writes other files
_PIECE = 32  # rows that a thread reads at a time
_LEAST, _MOST = 512, 20_000  # rows of a sample: few suffice for image sizes, vocabularies need many
_SMALL, _LARGE = 4_000_000, 512_000_000  # bytes: a sample of _LEAST rows or more ends at the first, any at the second

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Packing:
    """Readable rows of a frame and their content.

    Attributes:
        kept: (N,) int64, indices of the readable rows in the frame.
        stores: Field -> its packed rows.
        content: Field -> (N,) int64, a hash of the packed value, or a negative number that no other row has.
        unreadable: Unreadable rows as (row, field, reason).
        flat: Fields whose rows are all flat.
    """

    kept: np.ndarray
    stores: Mapping[str, Store]
    content: Mapping[str, np.ndarray]
    unreadable: list[tuple[int, str, str]]
    flat: frozenset[str]


def sample(frame: Frame, field: str, modality: Modality, rows: np.ndarray) -> list[Any]:
    """Reads enough rows of a field to fit a modality.

    Args:
        frame: All rows of the source.
        field: The column.
        modality: Reads the cells.
        rows: Indices of rows in the frame, in the order of reading.

    Returns:
        What `modality.read` returns, without missing and unreadable cells.

    Raises:
        UserError: No row can be read.
    """
    items: list[Any] = []
    reasons: list[str] = []
    weight = 0

    def read(some: np.ndarray) -> list[Any]:
        found: list[Any] = []
        reads = reader(frame, modality)
        for cell in frame.cells(field, some):
            try:
                if not missing(cell):
                    found.append(reads(cell))
            except Unreadable as error:
                found.append(error)
        return found

    for found in _ahead(read, (rows[start : start + _PIECE] for start in range(0, len(rows), _PIECE))):
        items += [item for item in found if not isinstance(item, Unreadable)]
        reasons += [str(item) for item in found if isinstance(item, Unreadable)]
        weight += sum(nbytes(item) if is_packed(item) else sys.getsizeof(item) for item in found)
        if weight > _LARGE or len(items) >= _MOST or (len(items) >= _LEAST and weight > _SMALL):
            break
    if not items:
        found = f"none could be read; the first: {reasons[0]}" if reasons else "it is empty in all of them"
        raise UserError(f"{frame.name}, field '{field}': of {len(rows)} training rows, {found}")
    return items


def packing(
    frame: Frame, modalities: Mapping[str, Modality], cache: Path, *, limit: int | None, progress: Progress | None
) -> Packing:
    """Opens packed rows from the cache, or packs them now.

    The cache is used if it holds the same columns, packed by modalities in the same state.

    Args:
        frame: All rows of the source.
        modalities: Field -> modality.
        cache: Folder of the cache.
        limit: Largest size of the cache in bytes. None takes half of the free disk space. Larger data is decoded on
            demand.
        progress: Called with (rows done, all rows); None if not needed.
    """
    target = cache / "rows" / _key(frame, modalities)
    if not (target / "facts.json").exists():
        needed = _estimate(frame, modalities)
        cache.mkdir(parents=True, exist_ok=True)
        keep = needed <= (shutil.disk_usage(cache).free // 2 if limit is None else limit)
        with atomic_cache(target, needed=needed) as part:
            _write(frame, modalities, part, keep, progress)
    elif progress:
        progress(len(frame), len(frame))
    return _opened(frame, modalities, target)


def _key(frame: Frame, modalities: Mapping[str, Modality]) -> str:
    parts = [_LAYOUT, fingerprint.of_frame(frame, modalities)]
    for name, modality in modalities.items():
        learned = json.dumps([modality.state(), modality.facts()], sort_keys=True, default=str)
        parts += [name, type(modality).__qualname__, learned, _code(type(modality))]
    return fingerprint.text(*parts)


def _code(kind: type) -> str:
    """Source code of a modality; a changed one must not reuse packed rows."""
    try:
        file = Path(inspect.getfile(kind))
        parts = sorted(file.parent.glob("*.py")) if file.stem == file.parent.name else [file]  # a folder of its own
        return "".join(part.read_text(encoding="utf8") for part in parts)
    except (OSError, TypeError):  # defined in a console, without a file
        return ""


def _estimate(frame: Frame, modalities: Mapping[str, Modality]) -> int:
    """Size of the cache in bytes, from up to 32 rows of each field."""
    rows = np.unique(np.linspace(0, len(frame) - 1, 32).astype(np.int64))
    total = 0.0
    for name, modality in modalities.items():
        sizes = [nbytes(r) for row in rows if is_packed(r := _row(frame, name, modality, row))]
        total += len(frame) * float(np.mean(sizes)) if sizes else 0.0
    return int(total)


def _row(frame: Frame, field: str, modality: Modality, row: int) -> PackedRow | Unreadable | None:
    (cell,) = frame.cells(field, [row])
    return _packed(cell, reader(frame, modality), modality)


def reader(frame: Frame, modality: Modality) -> Callable[[Any], Any]:
    """`modality.read` for cells of a frame.

    Cells may name files in the frame's own folders only.
    """
    allowed = gate(frame) if modality.files else None

    def read(cell: Any) -> Any:
        if allowed:
            allowed(cell)
        return modality.read(cell, frame.folder)

    return read


def _packed(cell: Any, read: Callable[[Any], Any], modality: Modality) -> PackedRow | Unreadable | None:
    if missing(cell):
        return None
    try:
        return modality.pack(read(cell))
    except Unreadable as error:
        return error


@dataclass(frozen=True)
class _Piece:
    """Some rows as the threads return them.

    Attributes:
        rows: Indices of the rows in the frame.
        values: Field -> packed values, errors, or None if missing.
        hashes: Field -> hashes of the values.
        varies: Field -> whether a row is not flat.
    """

    rows: range
    values: Mapping[str, Sequence[PackedRow | Unreadable | None]]
    hashes: Mapping[str, Sequence[int]]
    varies: Mapping[str, bool]


def _read(frame: Frame, modalities: Mapping[str, Modality], rows: range) -> _Piece:
    values = {}
    for name, modality in modalities.items():
        read = reader(frame, modality)
        values[name] = [_packed(cell, read, modality) for cell in frame.cells(name, np.arange(rows.start, rows.stop))]
    hashes = {
        name: [fingerprint.content(v) if is_packed(v) else -1 - row for v, row in zip(of, rows, strict=True)]
        for name, of in values.items()
    }
    varies = {name: any(is_packed(v) and not modalities[name].is_flat(v) for v in of) for name, of in values.items()}
    return _Piece(rows, values, hashes, varies)


def _ahead(work: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
    """Ordered `map` by threads that run few parts ahead, to bound memory."""
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) > 2 * (os.cpu_count() or 1):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _write(frame: Frame, modalities: Mapping[str, Modality], part: Path, keep: bool, progress: Progress | None) -> None:
    """Writes the files of a Packing; the values only if `keep`."""
    part.mkdir(parents=True)
    kept = array("q")  # eight bytes per row; a list takes forty
    content = {name: array("q") for name in modalities}
    varied: set[str] = set()
    unreadable: list[tuple[int, str, str]] = []
    with ExitStack() as stack:
        writers = {n: stack.enter_context(Writer(part / str(i))) for i, n in enumerate(modalities)} if keep else {}
        ranges = (range(start, min(start + _PIECE, len(frame))) for start in range(0, len(frame), _PIECE))
        for piece in _ahead(lambda rows: _read(frame, modalities, rows), ranges):
            varied |= {name for name, varies in piece.varies.items() if varies}
            for place, row in enumerate(piece.rows):
                cells = {name: of[place] for name, of in piece.values.items()}
                failed = [(row, name, str(v)) for name, v in cells.items() if isinstance(v, Unreadable)]
                if failed or all(v is None for v in cells.values()):
                    unreadable.append(failed[0] if failed else (row, "", "no view: every field of it is empty"))
                    continue
                kept.append(row)
                for name, value in cells.items():
                    content[name].append(piece.hashes[name][place])
                    if keep:
                        assert not isinstance(value, Unreadable)
                        writers[name].append(value)
            if progress:
                progress(piece.rows.stop, len(frame))
    np.save(part / "kept.npy", np.array(kept, dtype=np.int64))
    hashes = [np.array(content[name], dtype=np.int64) for name in modalities]
    np.save(part / "content.npy", np.stack(hashes))
    facts = {"packed": keep, "unreadable": unreadable, "flat": sorted(set(modalities) - varied)}
    (part / "facts.json").write_text(json.dumps(facts), encoding="utf8")


def _opened(frame: Frame, modalities: Mapping[str, Modality], folder: Path) -> Packing:
    facts = json.loads((folder / "facts.json").read_text(encoding="utf8"))
    kept = np.load(folder / "kept.npy")
    hashes = np.load(folder / "content.npy", mmap_mode="r")
    content = {name: np.asarray(hashes[place]) for place, name in enumerate(modalities)}
    stores: dict[str, Store] = {}
    for place, (name, modality) in enumerate(modalities.items()):
        if facts["packed"]:
            stores[name] = opened(folder / str(place))
        else:
            stores[name] = OnDemand(content[name] >= 0, _decoder(frame, name, modality, kept))
    unreadable = [(int(row), str(field), str(reason)) for row, field, reason in facts["unreadable"]]
    return Packing(kept, stores, content, unreadable, frozenset(facts["flat"]))


def _decoder(frame: Frame, field: str, modality: Modality, kept: np.ndarray) -> Callable[[int], PackedRow]:
    def decode(row: int) -> PackedRow:
        value = _row(frame, field, modality, int(kept[row]))
        if not is_packed(value):
            raise UserError(
                f"{frame.name}, row {kept[row]}, field '{field}' could be read before and no longer can: {value}."
            )
        return value

    return decode
