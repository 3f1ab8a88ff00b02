"""Tables larger than memory: a file is rewritten once, batch by batch, as an Arrow file that stays memory-mapped."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from kontrast.data import disk
from kontrast.data.cells import plain

_LAYOUT = "1"  # in the key of every spilled table: another value where reading a file gives another table


def spilled(
    files: Sequence[Path], cache: Path | None, read: Callable[[], tuple[pa.Schema, Iterable[pa.RecordBatch]]]
) -> pa.Table:
    """The table that `read` gives, from `cache` where these files (path, size, time of change) were read before.

    Without a cache folder the table is held in memory.
    """
    if cache is None:
        return _held(*read())
    marks = [f"{file.resolve()} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    target = _place(cache, marks)
    if not target.exists():
        schema, batches = read()
        with disk.replacing(target, needed=sum(file.stat().st_size for file in files)) as part:
            write(part, _plain_schema(schema), _plain(schema, batches))
    return mapped(target)


def fetched(name: str, cache: Path | None, read: Callable[[], tuple[pa.Schema, Iterable[pa.RecordBatch]]]) -> pa.Table:
    """The same for what bears no mark of when it last changed, such as a query: read anew each time."""
    if cache is None:
        return _held(*read())
    target = _place(cache, [name])
    schema, batches = read()
    with disk.replacing(target) as part:
        write(part, _plain_schema(schema), _plain(schema, batches))
    return mapped(target)


def write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """An Arrow file, in bounded memory."""
    with pa.OSFile(os.fspath(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def mapped(path: Path) -> pa.Table:
    """An uncompressed Arrow file as a table whose values stay on disk."""
    return pa.ipc.open_file(pa.memory_map(os.fspath(path))).read_all()


def _held(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(_plain(schema, batches), _plain_schema(schema))


def _place(cache: Path, marks: Sequence[str]) -> Path:
    key = hashlib.blake2b("\n".join([_LAYOUT, *marks]).encode(), digest_size=12).hexdigest()
    return cache / "tables" / f"{key}.arrow"


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    columns = {field.name: plain(pa.chunked_array([], field.type)).type for field in schema}
    return pa.schema(columns)


def _plain(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Dictionaries as values: an Arrow file cannot hold a dictionary that changes from batch to batch."""
    wanted = _plain_schema(schema)
    for batch in batches:
        columns = [plain(pa.chunked_array([column])).combine_chunks() for column in batch.columns]
        yield pa.record_batch(columns, schema=wanted)
