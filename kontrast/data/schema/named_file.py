"""The file that a cell names, if it is one that may be read."""

import re
import stat
from pathlib import Path

from kontrast.core.errors import Unreadable
from kontrast.data.schema import file_tree

_SCHEME = re.compile(r"(file|https?|ftp|s3|gs|hf|data):", re.IGNORECASE)


def named_file(folder: Path, name: str | Path, *, kind: str, largest: int) -> Path:
    """Finds the file that a cell names; it is not opened.

    Args:
        folder: Relative paths are relative to it.
        name: What the cell holds.
        kind: What such files hold, in the plural, for messages: "sounds".
        largest: Bytes that a file may have.

    Raises:
        Unreadable: an address, no file, a folder or device, or a file that is too large.
    """
    if scheme := _SCHEME.match(str(name)):
        if scheme[1].lower() == "file":
            raise Unreadable("an address, not a path: write it without file://")
        raise Unreadable(f"a web address, not a file: download the {kind} first")
    path = file_tree.locate(folder, name)
    try:
        state = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        said = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be opened: {error}"
        raise Unreadable(said) from error
    if not stat.S_ISREG(state.st_mode):
        raise Unreadable("a folder or a device, not a file")
    if not state.st_size:
        raise Unreadable("an empty file")
    if state.st_size > largest:
        raise Unreadable(f"a file of {state.st_size:,} bytes; expected at most {largest:,}")
    return path
