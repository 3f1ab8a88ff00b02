"""A dict of columns in memory."""

from collections.abc import Mapping
from pathlib import Path

from kontrast.core.errors import UserError
from kontrast.data.sources.python_values import frame_of
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame


class PythonColumns(SourceReader):
    """A dict of columns: lists, numpy arrays, torch tensors, Arrow arrays."""

    order = 40
    reads = "a dict of columns"

    def claims(self, data: object) -> bool:
        """Claims dicts of columns."""
        return isinstance(data, Mapping)

    def open(self, data: object, cache: Path | None) -> Frame:
        """Makes a column of each key; all must be of one length."""
        assert isinstance(data, Mapping)
        if not data:
            raise UserError("data is an empty dict; expected columns, such as {'text': [...], 'image': [...]}.")
        return frame_of(data, "dict")
