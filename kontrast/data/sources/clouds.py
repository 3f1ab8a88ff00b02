"""Point clouds and meshes in a folder, one row per file."""

import itertools
from pathlib import Path

from kontrast.data.schema import file_tree
from kontrast.data.sources import named_rows
from kontrast.data.sources.images import SUFFIXES as PICTURES
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame

SUFFIXES = {".off", ".ply", ".obj", ".stl", ".glb", ".pts", ".xyz", ".las", ".laz"}
_ARRAYS = {".npy", ".npz"}
_LOOKED = 500  # files whose names decide between clouds and pictures


class Clouds(SourceReader):
    """A folder of point clouds or meshes, with or without subfolders for classes and for train and test.

    Columns: `points`, the path relative to the folder, which is also the row's id; `split` if the top folders are named
    like one (train, test, val ...); `label`, the name of the subfolder, if files lie in two or more of them and none
    beside them. Pictures beside the meshes (textures) are passed over. Subfolders of .npy or .npz files count too.
    """

    order = 69
    reads = "a folder of point clouds or meshes"

    def claims(self, data: object) -> bool:
        """A folder with at least as many clouds as pictures, or with arrays in subfolders; or one file of points."""
        if not isinstance(data, Path):
            return False
        if not data.is_dir():
            return data.suffix.lower() in SUFFIXES and data.is_file()
        names = list(itertools.islice(file_tree.walk(data, SUFFIXES | PICTURES | _ARRAYS), _LOOKED))
        suffixes = [Path(name).suffix.lower() for name in names]
        clouds, pictures = (sum(suffix in some for suffix in suffixes) for some in (SUFFIXES, PICTURES))
        if clouds or pictures:
            return clouds >= max(1, pictures)
        return bool(names) and all("/" in name for name in names)

    def open(self, data: object, cache: Path | None) -> Frame:
        """The paths of the files, sorted; the files stay closed."""
        assert isinstance(data, Path)
        arrays = data.is_dir() and next(file_tree.walk(data, SUFFIXES), None) is None
        return named_rows.opened(data, _ARRAYS if arrays else SUFFIXES, "points")
