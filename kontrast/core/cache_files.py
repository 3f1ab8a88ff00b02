"""Writing beside and renaming, so that no half-written file is ever found; a full disk is told in words and leaves
nothing behind.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kontrast.core.errors import UserError


@contextmanager
def replacing(target: Path, *, needed: int = 0) -> Iterator[Path]:
    """A path beside `target` to write a file or a folder to; it takes the place of `target` when the block ends well.

    A folder that is there by then stays: the names of caches tell all that is in them, so that it holds the same.

    needed: bytes that will be written, as far as known, for the message on a full disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part-{os.getpid()}")
    _remove(part)
    try:
        yield part
        if not (part.is_dir() and target.is_dir()):  # else another process was faster; what it wrote is as good
            os.replace(part, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and target.is_dir():  # between the two lines above
            return
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _remove(part)  # first, so that what was written counts as free again
        free = shutil.disk_usage(target.parent).free
        wanted = f"about {size(needed)}" if needed else "more"
        raise UserError(
            f"the disk is full: the cache in {target.parent} needs {wanted} and {size(free)} are free there. "
            "Make room, or put the cache on another disk."
        ) from error
    finally:
        _remove(part)


def size(count: int) -> str:
    """Bytes as people say them: 1.5 GB."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.3g} {unit}"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
