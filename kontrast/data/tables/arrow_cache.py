"""Tables larger than memory, rewritten once as Arrow files that stay memory-mapped."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from kontrast.core.atomic_files import atomic_cache
from kontrast.core.errors import UserError
from kontrast.data.tables.column_reader import is_list, plain
from kontrast.data.tables.uri import without_secrets

_LAYOUT = "1"  # in the key of every spilled table: another value where reading a file gives another table


def spilled(
    files: Sequence[Path], cache: Path | None, read: Callable[[], tuple[pa.Schema, Iterable[pa.RecordBatch]]]
) -> pa.Table:
    """Table of some files, from the cache if they were read before.

    Args:
        files: Known by path, size and time of change.
        cache: Folder of the cache; None holds the table in memory.
        read: Returns schema and rows.

    Raises:
        UserError: a damaged file, or a full disk.
    """
    who = str(files[0])
    if cache is None:
        with refusing_damage(who):
            return _held(*read())
    marks = [f"{file.resolve()} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    target = _place(cache, marks)
    if not target.exists():
        with refusing_damage(who), atomic_cache(target, needed=sum(file.stat().st_size for file in files)) as part:
            schema, batches = read()
            write(part, _plain_schema(schema), _plain(schema, batches))
    return mapped(target)


def fetched(name: str, cache: Path | None, read: Callable[[], tuple[pa.Schema, Iterable[pa.RecordBatch]]]) -> pa.Table:
    """Table of a source without a time of change, such as a query: read anew each time.

    Args:
        name: Of the source; the file in the cache is named by it.
        cache: Folder of the cache; None holds the table in memory.
        read: Returns schema and rows.

    Raises:
        UserError: a damaged source, or a full disk.
    """
    if cache is None:
        with refusing_damage(name):
            return _held(*read())
    target = _place(cache, [name])
    with refusing_damage(name), atomic_cache(target) as part:
        schema, batches = read()
        write(part, _plain_schema(schema), _plain(schema, batches))
    return mapped(target)


@contextmanager
def refusing_damage(who: str) -> Iterator[None]:
    """Turns what Arrow raises for damage into UserError; errors of the disk, which have a number, pass."""
    try:
        yield
    except (pa.ArrowException, UnicodeError, OverflowError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        words = (str(error).splitlines() or ["no reason given"])[0][:300].rstrip(".")
        raise UserError(f"{without_secrets(who)} is damaged, or no table that can be read: {words}.") from error


def write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Writes an Arrow file in bounded memory."""
    with pa.OSFile(os.fspath(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def mapped(path: Path) -> pa.Table:
    """Opens an uncompressed Arrow file as a table whose values stay on disk."""
    return pa.ipc.open_file(pa.memory_map(os.fspath(path))).read_all()


def _held(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(_plain(schema, batches), _plain_schema(schema))


def _place(cache: Path, marks: Sequence[str]) -> Path:
    key = hashlib.blake2b("\n".join([_LAYOUT, *marks]).encode(), digest_size=12).hexdigest()
    return cache / "tables" / f"{key}.arrow"


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    columns = [(field.name, plain(pa.chunked_array([], field.type)).type) for field in schema]
    for _, kind in columns:
        _names(kind)
    return pa.schema(columns)


def _names(kind: pa.DataType) -> list[str]:
    """Names of all records inside a type; UnicodeDecodeError if one is no text."""
    if pa.types.is_struct(kind):
        return [name for field in kind for name in (field.name, *_names(field.type))]
    if pa.types.is_map(kind):
        return [*_names(kind.key_type), *_names(kind.item_type)]
    return _names(kind.value_type) if is_list(kind) else []


def _plain(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches with values instead of dictionaries, which an Arrow file cannot change from batch to batch.

    Offsets and characters are validated: those of a hostile file may point outside of it.
    """
    wanted = _plain_schema(schema)
    for batch in batches:
        batch.validate(full=True)
        columns = [plain(pa.chunked_array([column])).combine_chunks() for column in batch.columns]
        yield pa.record_batch(columns, schema=wanted)
