"""Whole files or none: written beside, flushed to disk, renamed; what the machine refuses is told in words."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kontrast.core.errors import UserError


@contextlib.contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A path beside `target` to write a file to; it takes the place of `target` when the block ends well, else it goes.

    Raises UserError where the machine refuses (a full disk, no right to write), and where anything but a regular file
    stands at `target`; what stood there before is still there then.
    """
    writable(target)
    aside = target.with_name(target.name + ".part")
    writable(aside)
    try:
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


def writable(target: Path) -> Path:
    """Refuses a path at which no file can be put: without a name, or with something there that is no regular file.

    Args:
        target: Where a file will be written; it need not be there yet.

    Returns:
        The same path, so that the check can be made where a path is taken up, before any work.

    Raises:
        UserError: A path without a name (empty, `.`, `..`), a folder, a device, a pipe, a socket, or a link, since
            replacing one of those takes away what is not a file of the user's making.
    """
    if named(target).is_dir() and not target.is_symlink():
        raise UserError(f"cannot write {target}: it is a folder. Name a file.")
    try:
        mode = target.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return target
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}. Name another place.") from error
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        found = kinds.get(stat.S_IFMT(mode), "a device")
        raise UserError(f"cannot write {target}: it is {found}, and only a regular file is replaced. Name another.")
    return target


def named(target: Path) -> Path:
    """The same path; UserError where it has no name of its own, as `` and `.` have none, or none in UTF-8."""
    if target.name in ("", ".."):
        raise UserError(f"'{target}' names no place to write to; expected the name of a new one, such as runs/mine.")
    return spelled(target)


def spelled(path: Path) -> Path:
    """The same path; UserError where its name is no UTF-8 text, which half of what reads and writes there refuses."""
    try:
        str(path).encode("utf8")
    except UnicodeEncodeError as error:
        raise UserError(f"the name {path} is not UTF-8 text; name another, or make a link to it with ln -s.") from error
    return path


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
