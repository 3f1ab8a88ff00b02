"""Folders of frames: one row per folder that holds pictures."""

from pathlib import Path, PurePosixPath

import pyarrow as pa

from kontrast.core.errors import UserError
from kontrast.data.schema import file_tree
from kontrast.data.sources.images import SUFFIXES
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame

_PREFIX = "frames:"


class Frames(SourceReader):
    """The address `frames:FOLDER`: each folder below it that holds pictures is one video, and they are its frames.

    Without the prefix a folder of folders of pictures holds one picture per row, and the folders are classes. Columns:
    `video`, the folder relative to FOLDER, which is also the row's id; `split` and `label` from the names of the
    folders above the videos.
    """

    order = 10
    reads = "frames:FOLDER, one video per folder of frames"

    def claims(self, data: object) -> bool:
        """Claims addresses that begin with `frames:`."""
        return isinstance(data, str) and data.startswith(_PREFIX)

    def open(self, data: object, cache: Path | None) -> Frame:
        """Lists the folders of pictures; opens no picture."""
        assert isinstance(data, str)
        folder = Path(data.removeprefix(_PREFIX)).expanduser()
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder (looked from {Path.cwd()}); expected one with a folder per video.")
        found = sorted({str(PurePosixPath(path).parent) for path in file_tree.walk(folder, SUFFIXES)} - {"."})
        if not found:
            raise UserError(f"{folder} has no folder with pictures in it; expected one per video, with its frames.")
        video = pa.chunked_array([pa.array([file_tree.encode_name(path) for path in found], pa.string())])
        return Frame({"video": video, **file_tree.columns_of_folders(found)}, folder.name or str(folder), folder)
