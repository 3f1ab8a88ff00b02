"""Arrays in a .npz archive."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from kontrast.core.errors import UserError
from kontrast.data.schema import split, unsupported
from kontrast.data.sources.python_values import frame_of
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables import numpy_file
from kontrast.data.tables.frame import Frame


class Npz(SourceReader):
    """A .npz of arrays with a row each; X_train, y_train, X_test, y_test (or train_images ...) become a split.

    Beside such arrays, others (class names) are passed over.
    """

    order = 30
    reads = ".npz of arrays"

    def claims(self, data: object) -> bool:
        """Claims .npz files."""
        return isinstance(data, Path) and data.suffix.lower() == ".npz" and data.is_file()

    def open(self, data: object, cache: Path | None) -> Frame:
        """Reads one array after the other into memory; refuses pickled objects."""
        assert isinstance(data, Path)
        arrays = numpy_file.archive(data)
        if kind := unsupported.of_arrays(arrays):
            raise UserError(f"{data} holds {unsupported.words(kind)}.")
        parts: dict[str, dict[str, np.ndarray]] = {}
        for name, array in arrays.items():
            where, column = _named(name)
            if where:
                parts.setdefault(where, {})[column] = array
        if not parts:
            return frame_of({n: a for n, a in arrays.items() if a.ndim}, data.name, data.parent)
        frames = {where: frame_of(columns, f"{data.name}, {where}", data.parent) for where, columns in parts.items()}
        return split.joined(frames, data.name)


def _named(name: str) -> tuple[str | None, Any]:
    """(part, column) of X_train or train_images; (None, name) of any other."""
    before, _, after = name.partition("_")
    if split.part(before) and after:
        return split.part(before), after
    match = re.fullmatch(r"(.+?)[_-]?(train|test|val|valid|validation|dev)", name, re.IGNORECASE)
    return (split.part(match[2]), match[1]) if match else (None, name)
