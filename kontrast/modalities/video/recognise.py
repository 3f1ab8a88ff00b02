"""Columns of videos: animated pictures by their content, stacks and lists of frames, folders of frames."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.types as types
from PIL import Image as Pil

from kontrast.core.errors import Unreadable
from kontrast.data.schema import file_tree, unsupported
from kontrast.data.schema.column import Claim, Column, is_string, mostly, shape_of
from kontrast.data.schema.path_guard import gate_of
from kontrast.modalities.video.frames import ANIMATED, PICTURES, is_animated, plays

_LOOKED = 24  # cells whose files are opened
_CHANNELS = (1, 3, 4)
_LEAST = 8  # pixels per side, and grey frames: fewer may be the channels of one picture
_LONG = 4  # times as long as wide that a grey frame may be


def recognise(column: Column) -> Claim | None:
    """Says why a column holds videos, by its cells; pictures that stand still are left to images."""
    if column.strings:
        return _of_names(column)
    if column.files:
        some = _some(column.files)
        inside = mostly(lambda c: is_animated(c["bytes"]) if c["bytes"] else _plays(column, c["path"]), some)
        return Claim("animated pictures inside the table") if inside else None
    if column.binaries:
        return Claim("bytes of animated pictures") if mostly(is_animated, _some(column.binaries)) else None
    if column.type is None:
        return _of_objects(column.cells)
    inner, depth = column.listed
    if depth == 1 and is_string(inner) and mostly(_names_frames, column.cells):
        there = any(file_tree.there(file_tree.locate(column.folder, cell[0])) for cell in _some(column.cells) if cell)
        return Claim("lists of image files, one per frame") if there else None
    if depth == 1 and types.is_struct(inner) and {field.name for field in inner} == {"bytes", "path"}:
        return Claim("lists of images inside the table, one per frame")
    stacks = column.arrays
    return Claim(f"lists of frames ({shape_of(stacks)})") if depth >= 3 and stacks and _is_stack(stacks[0]) else None


def _of_names(column: Column) -> Claim | None:
    """Strings that name animated files, folders of pictures, or files of video."""
    if mostly(lambda cell: unsupported.of_name(cell) == "video", column.strings):
        return None
    some = _some(column.strings)
    if mostly(lambda cell: bool(ANIMATED.search(cell)), column.strings) and mostly(lambda c: _plays(column, c), some):
        return Claim("strings that name animated pictures")
    # Classes repeat and often name folders too, so a claim by content would take labels away.
    if len(set(column.strings)) > len(column.strings) / 2 and mostly(lambda cell: _holds_frames(column, cell), some):
        return Claim("strings that name folders of frames", by="name")
    return None


def _some(cells: list[Any]) -> list[Any]:
    """Cells evenly spread over a sample."""
    return cells[:: -(-len(cells) // _LOOKED)]


def _plays(column: Column, cell: str | None) -> bool:
    """Whether a cell names an animated file that may be read."""
    if not cell or not ANIMATED.search(cell) or not _allowed(column, cell):
        return False
    path = file_tree.locate(column.folder, cell)
    return file_tree.there(path) and is_animated(path)


def _holds_frames(column: Column, cell: str) -> bool:
    """Whether a cell names a folder with a picture in it."""
    try:
        path = file_tree.locate(column.folder, cell)
        if cell.strip("./") and path.is_dir() and _allowed(column, cell):
            return any(one.suffix.lower() in PICTURES for one in path.iterdir())
    except (OSError, ValueError):  # no name of a folder, or one that may not be looked into
        pass
    return False


def _allowed(column: Column, cell: str) -> bool:
    check: Callable[[Any], None] = gate_of(column.folder, column.within)
    try:
        check(cell)
    except Unreadable:
        return False
    return True


def _names_frames(cell: Any) -> bool:
    return all(isinstance(one, str) and one[one.rfind(".") :].lower() in PICTURES for one in cell)


def _of_objects(cells: list[Any]) -> Claim | None:
    """Arrays, animated pictures of PIL, lists of pictures."""
    if isinstance(cells[0], np.ndarray):
        arrays = [cell for cell in cells if isinstance(cell, np.ndarray)]
        return Claim(f"stacks of frames ({shape_of(arrays)})") if _is_stack(arrays[0]) else None
    if isinstance(cells[0], list | tuple) and mostly(_is_sequence, cells):
        return Claim("lists of pictures, one per frame")
    moving = mostly(lambda cell: isinstance(cell, Pil.Image) and plays(cell), _some(cells))
    return Claim("animated pictures") if moving else None


def _is_sequence(cell: Any) -> bool:
    return len(cell) > 0 and all(map(_is_picture, cell))


def _is_picture(one: Any) -> bool:
    return isinstance(one, Pil.Image) or (isinstance(one, np.ndarray) and one.ndim in (2, 3))


def _is_stack(array: np.ndarray) -> bool:
    """Whether an array is T x H x W x C, T x C x H x W, or T x H x W of bytes."""
    if array.dtype.kind not in "biuf":
        return False
    if array.ndim == 4:
        sides = array.shape[1:3] if array.shape[3] in _CHANNELS else array.shape[2:]
        return min(sides) >= _LEAST and (array.shape[3] in _CHANNELS or array.shape[1] in _CHANNELS)
    if array.ndim != 3 or array.dtype != np.uint8 or min(array.shape) < _LEAST:
        return False
    return max(array.shape[1:]) <= _LONG * min(array.shape[1:])
