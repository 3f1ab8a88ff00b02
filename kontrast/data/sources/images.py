"""Pictures in a folder, one row a file."""

from pathlib import Path

from kontrast.data.schema import file_tree
from kontrast.data.sources import named_rows
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame

_STILL = {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".avif"}
SUFFIXES = _STILL | {".gif", ".webp", ".apng"}


class Images(SourceReader):
    """A folder of images, with or without subfolders for classes and for train and test.

    Columns: `image`, the path relative to the folder, which is also the row's id; `split` where the top folders are
    named like one (train, test, val ...); `label`, the name of the subfolder, where pictures lie in two or more of
    them and none beside them.
    """

    order = 70
    reads = "a folder of images"

    def claims(self, data: object) -> bool:
        """Claims folders with a picture at any depth."""
        return isinstance(data, Path) and data.is_dir() and next(file_tree.walk(data, SUFFIXES), None) is not None

    def open(self, data: object, cache: Path | None) -> Frame:
        """Lists the paths of the pictures, sorted; opens no picture."""
        assert isinstance(data, Path)
        return named_rows.opened(data, SUFFIXES, "image")
