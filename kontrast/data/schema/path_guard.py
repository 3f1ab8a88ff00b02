"""Restricts files named by cells to the data's folder, unless users allow more."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kontrast.core.errors import Unreadable
from kontrast.data.schema import file_tree
from kontrast.data.tables.frame import ANYWHERE, Frame


def gate(frame: Frame) -> Callable[[Any], None]:
    """Check that refuses cells which name files outside the frame's folders.

    The returned function raises Unreadable. Absolute paths, `..` and links are resolved first. Without the check, a
    table from others could have any image of this machine embedded and shown.
    """
    if frame.within == ANYWHERE:
        return lambda cell: None
    roots = [Path(os.path.realpath(root)) for root in (frame.folder, *frame.within)]

    def check(cell: Any) -> None:
        name = cell.get("path") if isinstance(cell, dict) and cell.get("bytes") is None else cell
        if not isinstance(name, str | Path) or "\0" in str(name):
            return
        path = Path(os.path.realpath(file_tree.locate(frame.folder, name)))
        if not any(path.is_relative_to(root) for root in roots):
            raise Unreadable(f"{path} lies outside of {roots[0]}: add --allow-outside to read files from anywhere.")

    return check
