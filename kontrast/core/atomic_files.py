"""Atomic writes: written under another name beside the target, then renamed, so that no half-written file is read."""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from kontrast.core.byte_size import size
from kontrast.core.errors import UserError


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Replaces a file once the block has written another, flushed to disk so that it outlives a power cut.

    What stood at `target` stays if the block raises.

    Args:
        target: File of a run, a report or an export; its folder is made if need be.

    Yields:
        Path beside `target` to write the file to.

    Raises:
        UserError: something other than a regular file is at `target`, or the machine refuses (full disk, no
            permission).
    """
    part = writable(writable(target).with_name(target.name + ".part"))
    try:
        with _replaced(target, part):
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        _sync(target.parent)
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {error.strerror or error}. Free some space or name another place."
        ) from error


@contextlib.contextmanager
def atomic_cache(target: Path, *, needed: int = 0) -> Iterator[Path]:
    """Puts a file or folder of a cache in place once the block has written it; several processes may do so at once.

    A folder that is at `target` by then stays: the name of a cache says what is in it, so both hold the same. Nothing
    is flushed to disk, since a cache can be made again.

    Args:
        target: File or folder of a cache; the folder around it is made if need be.
        needed: Bytes that will be written, for the message on a full disk; 0 if unknown.

    Yields:
        Path beside `target` to write the file or folder to.

    Raises:
        UserError: the disk is full.
    """
    part = target.with_name(f"{target.name}.part-{os.getpid()}")
    try:
        with _replaced(target, part):
            yield part
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and target.is_dir():  # made by another process just now
            return
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(target.parent).free
        wanted = f"about {size(needed)}" if needed else "more"
        raise UserError(
            f"the disk is full: the cache in {target.parent} needs {wanted} and {size(free)} are free there. "
            "Make room, or put the cache on another disk."
        ) from error


@contextlib.contextmanager
def _replaced(target: Path, part: Path) -> Iterator[None]:
    """Renames `part` to `target` after the block, unless both are folders; removes `part` in any case."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove(part)
    try:
        yield
        if not (part.is_dir() and target.is_dir()):  # else another process was faster, and its folder holds the same
            part.replace(target)
    finally:
        with contextlib.suppress(OSError):
            _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def writable(target: Path) -> Path:
    """Refuses a path at which no file can be put: one without a name, or one that holds no regular file.

    Args:
        target: Where a file will be written; it need not exist.

    Returns:
        The same path, so that it can be checked where it is given, before any work.

    Raises:
        UserError: a path without a name (empty, `.`, `..`), a folder, a device, a pipe, a socket, or a link; replacing
            one of those would destroy what the user did not mean as an output file.
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
    """Refuses a path without a name of its own, as the empty one, `.` and `..` are, or with one that is not UTF-8.

    Returns:
        The same path.

    Raises:
        UserError: no name, or no UTF-8 text.
    """
    if target.name in ("", ".."):
        raise UserError(f"'{target}' names no place to write to; expected the name of a new one, such as runs/mine.")
    return spelled(target)


def spelled(path: Path) -> Path:
    """Refuses a path that is not UTF-8 text, since several of the libraries that read and write files do.

    Returns:
        The same path.

    Raises:
        UserError: no UTF-8 text.
    """
    try:
        str(path).encode("utf8")
    except UnicodeEncodeError as error:
        raise UserError(f"the name {path} is not UTF-8 text; name another, or make a link to it with ln -s.") from error
    return path


def _sync(folder: Path) -> None:
    """Flushes the names in a folder to disk; else a power cut may undo the renaming of a file that is on disk."""
    if os.name != "posix":  # elsewhere a folder cannot be opened, and the file system keeps a rename
        return
    names = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(names)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without such a call
            raise
    finally:
        os.close(names)
