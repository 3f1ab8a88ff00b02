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
    return gate_of(frame.folder, frame.within)


def gate_of(folder: Path, within: tuple[Path, ...]) -> Callable[[Any], None]:
    """The same for cells of a folder of data, and further folders that may hold their files."""
    if within == ANYWHERE:
        return lambda cell: None
    roots = [Path(os.path.realpath(root)) for root in (folder, *within)]

    def check(cell: Any) -> None:
        if isinstance(cell, list | tuple):
            for one in cell:
                check(one)
            return
        name = cell.get("path") if isinstance(cell, dict) and cell.get("bytes") is None else cell
        if not isinstance(name, str | Path) or "\0" in str(name):
            return
        here = file_tree.locate(folder, name)
        for path in map(Path, map(os.path.realpath, (here, *_files(here)))):
            if any(path.is_relative_to(root) for root in roots):
                continue
            raise Unreadable(f"{path} lies outside of {roots[0]}: add --allow-outside to read files from anywhere.")

    return check


def _files(path: Path) -> list[Path]:
    """What a folder holds, if it is one: links among it may lead out."""
    try:
        return list(path.iterdir()) if path.is_dir() else []
    except OSError:
        return []
