"""Sounds in a folder, one row per file."""

from pathlib import Path

import pyarrow as pa

from kontrast.data.schema import file_tree
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf"}


class Sounds(SourceReader):
    """A folder of sounds, with or without subfolders for classes and for train and test.

    Columns: `audio`, the path relative to the folder, which is also the row's id; `split` if the top folders are named
    like one (train, test, val ...); `label`, the name of the subfolder, if sounds lie in two or more of them and none
    beside them.
    """

    order = 71
    reads = "a folder of sounds"

    def claims(self, data: object) -> bool:
        """A folder with a sound anywhere in it, or one sound file."""
        if not isinstance(data, Path):
            return False
        if data.is_dir():
            return next(file_tree.walk(data, SUFFIXES), None) is not None
        return data.suffix.lower() in SUFFIXES and data.is_file()

    def open(self, data: object, cache: Path | None) -> Frame:
        """The paths of the sounds, sorted; the files stay closed."""
        assert isinstance(data, Path)
        folder = data if data.is_dir() else data.parent
        paths = sorted(file_tree.walk(data, SUFFIXES)) if data.is_dir() else [data.name]
        audio = pa.chunked_array([pa.array([file_tree.encode_name(path) for path in paths], pa.string())])
        return Frame({"audio": audio, **file_tree.columns_of_folders(paths)}, data.name or str(data), folder)
