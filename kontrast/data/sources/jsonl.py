"""JSON tables: one object per line, or one list of objects."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, cast

import pyarrow as pa

from kontrast.core.errors import UserError
from kontrast.data.sources.python_values import frame_of_table, word
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.arrow_cache import spilled
from kontrast.data.tables.frame import Frame

_ROWS = 5000  # rows a batch
LONGEST_LINE, LONGEST_LIST = (
    64_000_000,
    1_000_000_000,
)  # characters of a line, and of a file that is one list: held in memory
_PART = 1_000_000  # characters read at a time
_SUFFIXES = {".jsonl", ".ndjson", ".json"}


class Jsonl(SourceReader):
    """A JSON Lines file (.jsonl, .ndjson, also gzipped), or a .json file that is a list of objects."""

    order = 30
    reads = "JSON Lines"

    def claims(self, data: object) -> bool:
        """Claims .jsonl, .ndjson and .json files, also gzipped."""
        return isinstance(data, Path) and bool(_SUFFIXES & {s.lower() for s in data.suffixes[-2:]}) and data.is_file()

    def open(self, data: object, cache: Path | None) -> Frame:
        """Writes a memory-mapped table; a first pass finds columns and types, a second converts."""
        assert isinstance(data, Path)

        def read() -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
            schema = pa.schema([])
            for rows in _batched(_rows(data)):
                try:
                    schema = pa.unify_schemas([schema, _table(rows).schema], promote_options="permissive")
                except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError) as error:
                    raise UserError(_mixture(data) or f"{data} cannot be read as a table: {error}.") from error
            if not schema.names:
                raise UserError(f"{data} has no rows; expected one JSON object per line.")
            return schema, _converted(data, schema)

        return frame_of_table(spilled([data], cache, read), data.name, data.parent)


def _converted(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for rows in _batched(_rows(path)):
        yield pa.RecordBatch.from_pylist([row for _, row in rows], schema=schema)


def _batched(rows: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    while batch := list(islice(rows, _ROWS)):
        yield batch


def _table(rows: list[tuple[int, dict[str, Any]]]) -> pa.Table:
    names: dict[str, None] = dict.fromkeys(name for _, row in rows for name in row)
    return pa.table({name: pa.array([row.get(name) for _, row in rows]) for name in names})


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line or place, object); empty lines are passed over."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with cast(TextIO, opened(path, "rt", encoding="utf-8-sig")) as file:
            if ".json" in path.suffixes:
                yield from _list(path, _tree(_all(file, path), path))
                return
            for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), ""), 1):
                if len(line) == LONGEST_LINE:
                    raise UserError(
                        f"{path}, line {number} is longer than {LONGEST_LINE:,} characters; expected one object "
                        "per line."
                    )
                if line.strip():
                    yield number, _object(path, number, line)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error}); save it as UTF-8.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {error}.") from error


def _all(file: TextIO, path: Path) -> str:
    """Reads in pieces, since a compressed file does not say how long it is."""
    parts: list[str] = []
    length = 0
    while part := file.read(_PART):
        parts.append(part)
        length += len(part)
        if length > LONGEST_LIST:
            raise UserError(
                f"{path} is longer than {LONGEST_LIST:,} characters, which would take some ten times as much memory; "
                "expected a .jsonl file with one object per line, which is read line by line."
            )
    return "".join(parts)


def _tree(words: str, path: Path) -> Any:
    try:
        return json.loads(words)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON ({error.msg}); correct the file.") from error
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply; expected a list of objects.") from error
    except ValueError as error:  # a number of more digits than Python converts
        raise UserError(f"{path}: {error}; correct the file.") from error


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {number}: not JSON ({error.msg}: {line.strip()[:60]}). Correct or remove the line."
        ) from error
    except RecursionError as error:
        raise UserError(f"{path}, line {number} is nested too deeply. Correct or remove the line.") from error
    except ValueError as error:  # a number of more digits than Python converts
        raise UserError(f"{path}, line {number}: {error}. Correct or remove the line.") from error
    if not isinstance(row, dict):
        raise UserError(f'{path}, line {number}: {word(row)}, not an object; expected lines like {{"text": "..."}}.')
    return row


def _list(path: Path, tree: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    if not isinstance(tree, list) or not all(isinstance(row, dict) for row in tree):
        raise UserError(
            f"{path} is {word(tree)}; expected a list of objects, or a .jsonl file with one object per line."
        )
    yield from enumerate(tree, 1)


def _mixture(path: Path) -> str:
    """Which column holds two kinds of value, and where the second one first stands."""
    first: dict[str, tuple[str, int]] = {}
    for number, row in _rows(path):
        for name, value in row.items():
            if value is None:
                continue
            kind, line = first.setdefault(name, (word(value), number))
            if kind != word(value):
                return (
                    f"{path}, line {number}: '{name}' holds {word(value)}, but {kind} in line {line}; "
                    "expected one kind of value in a column."
                )
    return ""
