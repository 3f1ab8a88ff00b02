"""One process at a time writes to a run folder: a lock that the system drops with the process, even a killed one."""

import errno
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kontrast.core.errors import UserError

LOCK = ".lock"  # stays where it is, empty: removing it while another process opens it would give two locks of one name
HOLDER = "held.json"  # who holds it; what a killed process left there counts only while the lock is held
# A file system without locks: there one process cannot see another, and a run is better than none.
_LOCKLESS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)


@contextmanager
def held(path: Path, doing: str) -> Iterator[bool]:
    """The run folder, for this process alone; gives whether it could be locked, which some file systems cannot.

    UserError where another process, or another thread of this one, holds it.
    """
    lock = _Lock(path)
    try:
        locked = lock.taken()
    except Timeout:
        raise UserError(
            f"{path} is in use: {_holder(path)}. Wait until that has ended, or stop it; it can be resumed."
        ) from None
    except OSError as error:
        raise UserError(f"cannot write in {path}: {error.strerror or error}.") from error
    try:
        if locked:
            told = {"process": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
            # Not `whole`: nothing depends on it, and whoever finds half of it says less.
            (path / HOLDER).write_text(json.dumps({**told, "doing": doing}) + "\n", encoding="utf8")
        yield locked
    finally:
        if locked:
            (path / HOLDER).unlink(missing_ok=True)
            lock.release()


def in_use(path: Path) -> str:
    """Who else holds the run folder now, in words; empty where nobody does."""
    if not (path / LOCK).is_file():
        return ""
    lock = _Lock(path)
    try:
        locked = lock.taken()
    except Timeout:
        return "" if _told(path).get("process") == os.getpid() else _holder(path)
    except OSError:  # a folder that this process may not write to says nothing of the others
        return ""
    if locked:
        lock.release()
    return ""


class _Lock:
    """The lock of a folder."""

    def __init__(self, path: Path) -> None:
        self.lock = FileLock(path / LOCK, timeout=0)

    def taken(self) -> bool:
        """Whether there are locks here; Timeout where another holds it."""
        try:
            self.lock.acquire()
        except NotImplementedError:  # filelock's word for the first of _LOCKLESS
            return False
        except OSError as error:
            if isinstance(error, Timeout) or error.errno not in _LOCKLESS:
                raise
            return False
        return True

    def release(self) -> None:
        self.lock.release()


def _holder(path: Path) -> str:
    told = _told(path)
    if not told:  # it has just begun, or is just ending
        return "another process writes to it"
    return f"process {told['process']} on {told['host']} writes to it since {told['since']} ({told['doing']})"


def _told(path: Path) -> dict[str, Any]:
    """HOLDER; nothing where it is not there, or not whole."""
    try:
        told = json.loads((path / HOLDER).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) and told.keys() >= {"process", "host", "since", "doing"} else {}
