"""One array in a .npy file."""

from pathlib import Path

from kontrast.data.sources.python_values import frame_of
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables import numpy_file
from kontrast.data.tables.frame import Frame


class Npy(SourceReader):
    """A .npy of one array, its first axis the rows, as column `X`."""

    order = 30
    reads = ".npy"

    def claims(self, data: object) -> bool:
        """Claims .npy files."""
        return isinstance(data, Path) and data.suffix.lower() == ".npy" and data.is_file()

    def open(self, data: object, cache: Path | None) -> Frame:
        """Maps the array into memory; refuses pickled objects."""
        assert isinstance(data, Path)
        return frame_of({"X": numpy_file.mapped(data)}, data.name, data.parent)
