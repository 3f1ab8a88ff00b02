"""One array or tensor in memory."""

from pathlib import Path

import numpy as np

from kontrast.data.sources.python_values import frame_of
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame


class NumpyArray(SourceReader):
    """A numpy array or torch tensor, its first axis the rows, as column `X`."""

    order = 40
    reads = "a numpy array or torch tensor"

    def claims(self, data: object) -> bool:
        """Claims numpy arrays and torch tensors."""
        import torch

        return isinstance(data, np.ndarray | torch.Tensor)

    def open(self, data: object, cache: Path | None) -> Frame:
        """Takes the array as one column, without a copy."""
        return frame_of({"X": data}, "array")
