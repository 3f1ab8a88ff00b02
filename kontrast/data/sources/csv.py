"""Tables of text: CSV and TSV, with a header."""

import contextlib
import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from kontrast.core.errors import UserError
from kontrast.core.experiment import Source
from kontrast.data.schema import file_tree
from kontrast.data.schema.missing_values import is_word
from kontrast.data.sources.images import SUFFIXES
from kontrast.data.sources.python_values import frame_of_table
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.arrow_cache import spilled
from kontrast.data.tables.frame import Frame

BLOCK = 16_000_000  # bytes read at a time; no line may be longer
_WIDEST = 100_000  # columns
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class Csv(SourceReader):
    """A CSV or TSV file with a header (.csv, .tsv, also gzipped).

    The empty cell is missing, and among numbers what says NA, NaN or null; elsewhere such words are strings. A column
    is integer, float or string, whatever all of its cells are; numbers with leading zeros are codes and stay strings.
    """

    order = 30
    reads = "CSV or TSV with a header"

    def claims(self, data: object) -> bool:
        """Claims .csv and .tsv files, also gzipped."""
        return isinstance(data, Path) and _suffix(data) in _DELIMITERS and data.is_file()

    def open(self, data: object, cache: Path | None) -> Frame:
        """Writes a memory-mapped table; a first pass finds each column's type, a second converts."""
        assert isinstance(data, Path)

        def read() -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
            header, delimiter = _header(data)
            types: dict[str, pa.DataType] = dict.fromkeys(header, pa.null())
            strings = dict.fromkeys(header, pa.string())
            gaps: set[str] = set()  # columns of which some cells are words for nothing
            for batch in _batches(data, header, delimiter, strings):
                for name in header:
                    types[name], gap = _loosened(types[name], batch.column(name))
                    gaps |= {name} if gap else set()
            types |= {name: pa.string() for name, kind in types.items() if kind == pa.null() and name in gaps}
            types |= {name: pa.int64() for name, kind in types.items() if kind == pa.null()}
            schema = pa.schema(types)
            if all(types[name] == pa.string() for name in gaps):
                return schema, _batches(data, header, delimiter, types)
            read_as = {name: pa.string() if name in gaps else kind for name, kind in types.items()}
            return schema, (_numbered(batch, schema) for batch in _batches(data, header, delimiter, read_as))

        return frame_of_table(spilled([data], cache, read), data.name, data.parent)


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def _text(path: Path) -> TextIO:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig", newline="")


def _header(path: Path) -> tuple[list[str], str]:
    """The column names and what parts them; refuses a first line that is data."""
    delimiter = _DELIMITERS[_suffix(path)]
    try:
        with _text(path) as file:
            first = next(csv.reader(_lines(file, path), delimiter=delimiter), None)
            if first is not None and len(first) == 1:  # semicolons, where the comma is the decimal point
                delimiter = max(delimiter + ";\t|", key=first[0].count)
                file.seek(0)
                first = next(csv.reader(_lines(file, path), delimiter=delimiter))
    except UnicodeDecodeError as error:
        raise UserError(_encoding(path, error)) from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {error}.") from error
    except csv.Error as error:
        raise UserError(f"{path}, line 1: {error}; expected a header, then rows.") from error
    if first is None:
        raise UserError(f"{path} is empty; expected a header and rows.")
    if not first:
        raise UserError(f"{path} begins with an empty line; expected the columns' names there.")
    if len(first) > _WIDEST:
        raise UserError(
            f"{path} has {len(first):,} columns; expected at most {_WIDEST:,}. Transpose it: one row per sample."
        )
    header = [name.strip() or f"column {i}" for i, name in enumerate(first)]
    doubles = [name for name, count in Counter(header).items() if count > 1]
    if _is_data(first, path.parent):
        raise UserError(
            f"{path} has no header: its first line is data ({', '.join(first)[:60]}). "
            "Write the column names into the first line."
        )
    if doubles:
        raise UserError(f"{path}: the header names '{doubles[0]}' twice; give every column a name of its own.")
    return header, delimiter


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """Its lines, of which none is longer than a block."""
    while line := file.readline(BLOCK):
        if len(line) == BLOCK:
            raise UserError(f"{path} begins with a line longer than {BLOCK:,} characters; expected the columns' names.")
        yield line


def _is_data(line: list[str], folder: Path) -> bool:
    """Whether a first line is data: only numbers, or the path of a picture among its cells."""
    cells = [cell for cell in line if cell.strip()]
    pictures = any(Path(cell).suffix.lower() in SUFFIXES and file_tree.there(folder / cell) for cell in cells)
    return bool(cells) and (pictures or all(map(_is_number, cells)))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _batches(path: Path, header: list[str], delimiter: str, types: dict[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    try:
        reader = arrow_csv.open_csv(
            pa.input_stream(str(path), compression="detect"),
            read_options=arrow_csv.ReadOptions(
                column_names=header, skip_rows=0, skip_rows_after_names=1, block_size=BLOCK
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
        )
        yield from reader
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise UserError(_ragged(path, delimiter, len(header)) or f"{path} cannot be read: {error}.") from error


def _loosened(kind: pa.DataType, column: pa.Array) -> tuple[pa.DataType, bool]:
    """nothing -> integer -> float -> string, as far as these cells need; and whether some are words for nothing."""
    if kind == pa.string() or column.null_count == len(column):
        return kind, False
    if _coded(column):
        return pa.string(), False
    for wanted in (pa.int64(), pa.float64()):
        if kind == pa.float64() and wanted == pa.int64():
            continue
        for gap, cells in ((False, column), (True, _without_words(column))):
            with contextlib.suppress(pa.ArrowInvalid):
                cells.cast(wanted)
                return (kind if cells.null_count == len(cells) else wanted), gap
    return pa.string(), False


def _without_words(column: pa.Array) -> pa.Array:
    return pc.call_function("if_else", [is_word(column, Source().missing), pa.scalar(None, column.type), column])


def _numbered(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Converts strings of columns that hold numbers."""
    arrays = [
        column if column.type == field.type else _without_words(column).cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)


def _coded(column: pa.Array) -> bool:
    """Whether a number begins with a zero, as post codes do."""
    options = pc.MatchSubstringOptions(r"^\s*[+-]?0\d")
    return bool(pc.call_function("any", [pc.call_function("match_substring_regex", [column], options)]).as_py())


def _ragged(path: Path, delimiter: str, expected: int) -> str:
    """Names the first line with another number of cells, which Arrow does not; empty where there is none."""
    try:
        with _text(path) as file:
            reader = csv.reader(_lines(file, path), delimiter=delimiter)
            start = 1
            for cells in reader:
                if cells and len(cells) != expected:
                    return (
                        f"{path}, line {start}: {len(cells)} cells where the header has {expected}. "
                        "Correct the line; a cell that holds the delimiter needs quotes."
                    )
                start = reader.line_num + 1
    except UnicodeDecodeError as error:
        return _encoding(path, error)
    except UserError:
        return f"{path} has a line longer than {BLOCK:,} characters."
    except (csv.Error, OSError, EOFError, zlib.error) as error:
        return f"{path}, line {start}: {error}."
    return ""


def _encoding(path: Path, error: Exception) -> str:
    how = f"iconv -f latin1 -t utf8 {path.name} > utf8.csv"
    return f"{path} is not UTF-8 text ({error}); save it as UTF-8, for example: {how}"
