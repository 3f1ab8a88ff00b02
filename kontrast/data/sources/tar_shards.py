"""Tar shards as WebDataset writes them: members that share a name up to its first dot are one row."""

import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np
import pyarrow as pa

from kontrast.core import untrusted_json
from kontrast.core.byte_size import size
from kontrast.core.errors import UserError
from kontrast.data.schema import split
from kontrast.data.sources.images import SUFFIXES
from kontrast.data.sources.python_values import frame_of_table
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables import numpy_file
from kontrast.data.tables.arrow_cache import spilled
from kontrast.data.tables.frame import Frame

LARGEST = 256_000_000  # bytes of a member: all of it is held in memory
_BATCH = 32_000_000  # bytes of a batch of rows, and no more rows than
_ROWS = 5000
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
# suffix -> the column of a member that is called KEY.suffix; KEY.NAME.suffix goes to the column NAME
_PLAIN = {**dict.fromkeys(SUFFIXES, "image"), ".txt": "text", ".cls": "label", ".npy": "array", ".json": ""}

Row = dict[str, Any]


class TarShards(SourceReader):
    """Tar files of WebDataset: one, a folder of them, or a pattern (shards-{000..003}.tar); train-*, test-* give the
    split.

    Columns: `key`; `image` (.png, .jpg ...), `text` (.txt), `label` (.cls), `array` (.npy), and the entries of .json;
    other members are passed over. Members are read in memory, nothing is extracted.
    """

    order = 30
    reads = "WebDataset shards (.tar)"

    def claims(self, data: object) -> bool:
        """Claims tar files, folders of them, and patterns such as part-{000..009}.tar."""
        return isinstance(data, Path) and (bool(_BRACES.search(data.name)) or bool(_files(data)))

    def open(self, data: object, cache: Path | None) -> Frame:
        """Writes a memory-mapped table; a first pass finds the columns, a second converts."""
        assert isinstance(data, Path)
        groups: dict[str, list[Path]] = {}
        for file in _files(data):
            groups.setdefault(split.part(file.stem.split("-")[0]) or "", []).append(file)
        name = _BRACES.sub("", data.stem).strip("-_.") or data.parent.name
        if len(groups) == 1:
            return _frame(next(iter(groups.values())), name, cache)
        return split.joined({key or "train": _frame(files, name, cache) for key, files in groups.items()}, name)


def _files(data: Path) -> list[Path]:
    found = _BRACES.search(data.name)
    if found:
        first, last = found.groups()
        numbers = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
        files = [data.with_name(data.name[: found.start()] + n + data.name[found.end() :]) for n in numbers]
        absent = [file for file in files if not file.is_file()]
        if absent or not files:
            name = absent[0] if absent else data
            raise UserError(f"{name} does not exist; {data.name} stands for {len(files)} files. Check the numbers.")
        return files
    if data.is_dir():
        return sorted(p for p in data.glob("*.tar") if p.is_file() and not p.name.startswith("."))
    return [data] if data.suffix.lower() == ".tar" and data.is_file() else []


def _frame(files: list[Path], name: str, cache: Path | None) -> Frame:
    def read() -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        schema = pa.schema({"key": pa.string()})
        for rows in _batched(row for file in files for row in _rows(file, pictures=False)):
            names = dict.fromkeys(column for row in rows for column in row)
            found = pa.schema({column: _type(column, rows, files[0]) for column in names})
            try:
                schema = pa.unify_schemas([schema, found], promote_options="permissive")
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise UserError(f"{name}: rows differ in kind: {error}. Expected one kind in a column.") from error
        return schema, _converted(files, schema)

    return frame_of_table(spilled(files, cache, read), name, files[0].parent)


def _type(column: str, rows: list[Row], file: Path) -> pa.DataType:
    try:
        return pa.array([row.get(column) for row in rows]).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise UserError(f"{file.name}: '{column}' differs in kind from row to row: {error}.") from error


def _converted(files: list[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for rows in _batched(row for file in files for row in _rows(file, pictures=True)):
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _batched(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    weight = 0
    for row in rows:
        batch.append(row)
        weight += sum(len(cell) for cell in row.values() if isinstance(cell, bytes | str | np.ndarray))
        if weight > _BATCH or len(batch) >= _ROWS:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def _rows(file: Path, *, pictures: bool) -> Iterator[Row]:
    """Members one after the other, a row a key. pictures: whether to read them, or only to tell that they are there."""
    row: Row = {}
    try:
        # Not compressed, so that no small file can hold a large one.
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                key, ending = _parts(file, member)
                if not key:
                    continue
                if key != row.get("key"):
                    if len(row) > 1:
                        yield row
                    row = {"key": key}
                for column, cell in _cells(file, tar, member, ending, pictures).items():
                    if column in row:
                        raise UserError(f"{file}: '{key}' has '{column}' twice; expected one member of each kind.")
                    row[column] = cell
                cast(Any, tar).members = []  # tarfile keeps a note of each member that it has seen
    except tarfile.TarError as error:
        with file.open("rb") as start:
            how = "gunzip it first" if start.read(2) == b"\x1f\x8b" else "copy it again"
        raise UserError(f"{file} is no readable tar file ({error}); {how}.") from error
    if len(row) > 1:
        yield row


def _parts(file: Path, member: tarfile.TarInfo) -> tuple[str, str]:
    """(key, what follows its dot) of a member; empty for folders and hidden files."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{file}: the member '{member.name}' points out of the archive; do not trust this file.")
    if member.isdir() or path.name.startswith("."):
        return "", ""
    if not member.isreg() or member.issparse():
        raise UserError(f"{file}: the member '{member.name}' is a link or a device; expected plain files.")
    if member.size > LARGEST:
        raise UserError(f"{file}: the member '{member.name}' takes {size(member.size)}; at most {size(LARGEST)} do.")
    stem, _, ending = path.name.partition(".")
    return (path.parent / stem).as_posix(), ending


def _cells(file: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, ending: str, pictures: bool) -> Row:
    name, _, last = ending.rpartition(".")
    suffix = f".{last.lower()}"
    if suffix not in _PLAIN:
        return {}
    column = name or _PLAIN[suffix]
    if suffix in SUFFIXES and not pictures:
        return {column: b"there"}
    opened = tar.extractfile(member)
    assert opened is not None
    data = opened.read()
    if suffix in SUFFIXES:
        return {column: data}
    try:
        if suffix == ".npy":
            return {column: numpy_file.read(io.BytesIO(data), len(data), "it").tolist()}
        if suffix == ".json":
            tree = untrusted_json.tree(data, "it")
            return {str(k): v for k, v in tree.items()} if isinstance(tree, dict) and not name else {name: tree}
        return {column: data.decode("utf8").strip("\n")}
    except ValueError as error:
        words = str(error).rstrip(".")
        raise UserError(f"{file}: the member '{member.name}' cannot be read: {words}.") from error
