"""A list of rows in memory."""

from collections.abc import Mapping
from pathlib import Path

from kontrast.core.errors import UserError
from kontrast.data.sources.python_values import frame_of
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame


class PythonRows(SourceReader):
    """A list of dicts, one a row, or of plain values (strings, arrays, pictures), which become column `X`."""

    order = 40
    reads = "a list of dicts"

    def claims(self, data: object) -> bool:
        """Claims lists and tuples, of dicts."""
        return isinstance(data, list | tuple)

    def open(self, data: object, cache: Path | None) -> Frame:
        """Makes a column of each key; a row without that key has a missing cell."""
        assert isinstance(data, list | tuple)
        if not data:
            raise UserError("data is an empty list; expected rows, such as [{'text': ...}, {'text': ...}].")
        rows = [row for row in data if isinstance(row, Mapping)]
        if not rows:
            return frame_of({"X": data}, "list")
        if len(rows) < len(data):
            other = next(row for row in data if not isinstance(row, Mapping))
            raise UserError(
                f"data mixes dicts with {type(other).__name__}; expected a list of dicts with one row each."
            )
        names: dict[object, None] = dict.fromkeys(name for row in rows for name in row)
        return frame_of({str(name): [row.get(name) for row in rows] for name in names}, "list")
