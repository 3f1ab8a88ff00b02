"""Sounds in a folder, one row per file."""

from pathlib import Path

from kontrast.data.sources import named_rows
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
        return named_rows.holds(data, SUFFIXES)

    def open(self, data: object, cache: Path | None) -> Frame:
        """The paths of the sounds, sorted; the files stay closed."""
        assert isinstance(data, Path)
        return named_rows.opened(data, SUFFIXES, "audio")
