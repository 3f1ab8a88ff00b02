"""Files that belong together: NAME_TRAIN and NAME_TEST, or train and test, in one folder."""

import errno
import os
from collections.abc import Callable, Collection
from pathlib import Path

from kontrast.core.errors import UserError
from kontrast.data.schema import split
from kontrast.data.tables.frame import Frame


def sets(data: Path, suffixes: Collection[str]) -> dict[str, dict[str, Path]]:
    """Finds data sets that are stored as a file per part.

    Args:
        data: A folder, a stem or a file; a file is a set of one part, "".
        suffixes: In lower case.

    Returns:
        Name of the set -> part (train, test, validation) -> file.
    """
    if data.is_file():
        return {data.name: {"": data}} if data.suffix.lower() in suffixes else {}
    folder, stem = (data, None) if data.is_dir() else (data.parent, data.name)
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        name, _, last = path.stem.rpartition("_")
        part = split.part(last)
        if part and path.suffix.lower() in suffixes and stem in (None, name) and path.is_file():
            found.setdefault(name + path.suffix, {})[part] = path
    return found


def gone(data: Path) -> FileNotFoundError:
    """Error for data that was there when its source claimed it."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(data))


def opened(data: Path, suffixes: Collection[str], read: Callable[[Path], Frame]) -> Frame:
    """Reads the only data set that is there, its parts under each other.

    Raises:
        UserError: several data sets.
        FileNotFoundError: none.
    """
    found = sets(data, suffixes)
    if len(found) > 1:
        files = ", ".join(file.name for one in found.values() for file in one.values())
        raise UserError(
            f"{data} holds {len(found)} data sets ({files}); expected one. Name a file, or a path without _TRAIN."
        )
    if not found:
        raise gone(data)
    ((name, files),) = found.items()
    frames = {part: read(path) for part, path in files.items()}
    stem = name.removesuffix(next(iter(files.values())).suffix)
    return split.joined(frames, stem or data.name) if len(frames) > 1 else next(iter(frames.values()))
