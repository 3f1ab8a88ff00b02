"""A lock by which one process at a time writes to a run folder."""

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

LOCK = ".lock"  # empty and never removed: removal while another process opens it would give two locks of one name
HOLDER = "held.json"  # the process that holds the lock; without a held lock, the leftover of a killed one
# Errors of file systems without locks: processes cannot see each other there, and the run goes on without a lock.
_LOCKLESS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)


@contextmanager
def lock_folder(path: Path, doing: str) -> Iterator[bool]:
    """Context in which this process alone writes to a run folder.

    Args:
        path: The run folder.
        doing: What is done here, for the message that another process gets.

    Yields:
        Whether the folder is locked; False on a file system without locks.

    Raises:
        UserError: Another process, or another thread of this one, holds the lock, or the folder is not writable.
    """
    lock = _Lock(path)
    try:
        locked = lock.acquire()
    except Timeout:
        raise UserError(
            f"{path} is in use: {_holder(path)}. Wait until it ends, or stop it; it can be resumed."
        ) from None
    except OSError as error:
        raise UserError(f"cannot write in {path}: {error.strerror or error}.") from error
    try:
        if locked:
            facts = {"process": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
            # Not written atomically: if it is half-written, a message says less, and nothing else depends on it.
            (path / HOLDER).write_text(json.dumps({**facts, "doing": doing}) + "\n", encoding="utf8")
        yield locked
    finally:
        if locked:
            (path / HOLDER).unlink(missing_ok=True)
            lock.release()


def in_use(path: Path) -> str:
    """The other process that now writes to a run folder, in words; "" if none."""
    if not (path / LOCK).is_file():
        return ""
    lock = _Lock(path)
    try:
        locked = lock.acquire()
    except Timeout:
        return "" if holder(path).get("process") == os.getpid() else _holder(path)
    except OSError:  # without the right to write here, other processes cannot be seen
        return ""
    if locked:
        lock.release()
    return ""


class _Lock:
    def __init__(self, path: Path) -> None:
        self.lock = FileLock(path / LOCK, timeout=0)

    def acquire(self) -> bool:
        """Takes the lock, or raises Timeout; False if the file system has none."""
        try:
            self.lock.acquire()
        except NotImplementedError:  # raised by filelock for the first of _LOCKLESS
            return False
        except OSError as error:
            if isinstance(error, Timeout) or error.errno not in _LOCKLESS:
                raise
            return False
        return True

    def release(self) -> None:
        self.lock.release()


def _holder(path: Path) -> str:
    facts = holder(path)
    if not facts:  # it has just begun, or is just ending
        return "another process writes to it"
    return f"process {facts['process']} on {facts['host']} writes to it since {facts['since']} ({facts['doing']})"


def holder(path: Path) -> dict[str, Any]:
    """Content of HOLDER; empty if the file is missing or not whole."""
    try:
        facts = json.loads((path / HOLDER).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) and facts.keys() >= {"process", "host", "since", "doing"} else {}
