"""Which files the cells of a table may name: those in the folder of the data, unless the user allows more."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kontrast.core.errors import Unreadable
from kontrast.data.schema import file_tree
from kontrast.data.tables.frame import ANYWHERE, Frame


def gate(frame: Frame) -> Callable[[Any], None]:
    """A function that raises Unreadable for a cell which names a file outside of the frame's folders, be it by an
    absolute path, by .. or through a link. Whoever sends a table could else have any picture of this machine embedded
    and shown.
    """
    if frame.within == ANYWHERE:
        return lambda cell: None
    roots = [Path(os.path.realpath(root)) for root in (frame.folder, *frame.within)]

    def check(cell: Any) -> None:
        name = cell.get("path") if isinstance(cell, dict) and cell.get("bytes") is None else cell
        if not isinstance(name, str | Path) or "\0" in str(name):
            return
        path = Path(os.path.realpath(file_tree.found(frame.folder, name)))
        if not any(path.is_relative_to(root) for root in roots):
            raise Unreadable(f"{path} lies outside of {roots[0]}: add --allow-outside to read files from anywhere.")

    return check
