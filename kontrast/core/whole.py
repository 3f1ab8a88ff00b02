"""Whole files or none: written beside, flushed to disk, renamed; what the machine refuses is told in words."""

import contextlib
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
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {error.strerror or error}. Free some space or name another place."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
