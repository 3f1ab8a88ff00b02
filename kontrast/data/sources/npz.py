"""Arrays in a .npz archive."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kontrast.core.errors import UserError
from kontrast.data import split
from kontrast.data.columns import frame_of
from kontrast.data.frame import Frame
from kontrast.data.source import SourceReader


class Npz(SourceReader):
    """A .npz of arrays with a row each; X_train, y_train, X_test, y_test (or train_images ...) become a split.

    Beside such arrays, others (class names) are passed over.
    """

    order = 30
    reads = ".npz of arrays"

    def claims(self, data: object) -> bool:
        """By suffix."""
        return isinstance(data, Path) and data.suffix.lower() == ".npz" and data.is_file()

    def open(self, data: object, cache: Path | None) -> Frame:
        """In memory, one array after the other; nothing pickled is loaded."""
        assert isinstance(data, Path)
        arrays = arrays_of(data)
        parts: dict[str, dict[str, np.ndarray]] = {}
        for name, array in arrays.items():
            where, column = _named(name)
            if where:
                parts.setdefault(where, {})[column] = array
        if not parts:
            return frame_of({n: a for n, a in arrays.items() if a.ndim}, data.name, data.parent)
        frames = {where: frame_of(columns, f"{data.name}, {where}", data.parent) for where, columns in parts.items()}
        return split.joined(frames, data.name)


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """All arrays of the archive, or a message in words."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(refusal(path, error)) from error


def refusal(path: Path, error: Exception) -> str:
    """Why a file of numpy is not read."""
    if "pickle" in str(error) or "Python objects" in str(error):
        return (
            f"{path} holds pickled Python objects, which could run any code and are never loaded. "
            "Save plain arrays: numbers, or strings as dtype str."
        )
    return f"{path} is no readable file of numpy: {error}."


def _named(name: str) -> tuple[str | None, Any]:
    """(part, column) of X_train or train_images; (None, name) of any other."""
    before, _, after = name.partition("_")
    if split.part(before) and after:
        return split.part(before), after
    match = re.fullmatch(r"(.+?)[_-]?(train|test|val|valid|validation|dev)", name, re.IGNORECASE)
    return (split.part(match[2]), match[1]) if match else (None, name)
