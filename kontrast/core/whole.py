"""Whole files or none: written beside, flushed to disk, renamed; what the machine refuses is told in words."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from kontrast.core.errors import UserError


@contextlib.contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A path beside `target` to write a file to; it takes the place of `target` when the block ends well, else it goes.

    Raises UserError where the machine refuses (a full disk, no right to write, a folder in the way); what stood at
    `target` before is still there then.
    """
    aside = target.with_name(target.name + ".part")
    try:
        if target.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(target)
        settle(target.parent)
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {error.strerror or error}. Free some space or name another place."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def settle(folder: Path) -> None:
    """The names in a folder to disk too: without, a power cut may undo a rename of a file that is itself on disk."""
    if os.name != "posix":  # elsewhere a folder cannot be opened, and a rename is settled by the file system
        return
    names = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(names)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such call
            raise
    finally:
        os.close(names)
