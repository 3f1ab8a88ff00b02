"""One array in a .npy file."""

from pathlib import Path

import numpy as np

from kontrast.core.errors import UserError
from kontrast.data.columns import frame_of
from kontrast.data.frame import Frame
from kontrast.data.source import SourceReader
from kontrast.data.sources.npz import refusal


class Npy(SourceReader):
    """A .npy of one array, its first axis the rows, as column `X`."""

    order = 30
    reads = ".npy"

    def claims(self, data: object) -> bool:
        """By suffix."""
        return isinstance(data, Path) and data.suffix.lower() == ".npy" and data.is_file()

    def open(self, data: object, cache: Path | None) -> Frame:
        """Memory-mapped; nothing pickled is loaded."""
        assert isinstance(data, Path)
        try:
            array = np.load(data, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise UserError(refusal(data, error)) from error
        return frame_of({"X": array}, data.name, data.parent)
