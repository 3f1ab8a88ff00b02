"""Columns of images: image files, their bytes, pictures of PIL, arrays of the shape of a picture."""

import re

import numpy as np
import pyarrow.types as types

from kontrast.data.schema.column import Claim, Column, mostly, shape_of
from kontrast.data.schema.named_files import named_files

_FILES = re.compile(r"\.(a?png|jpe?g|jfif|bmp|gif|webp|tiff?|pp?gm|ppm|avif)$", re.IGNORECASE)
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"P5", b"P6")


def recognise(column: Column) -> Claim | None:
    """Says why a column holds images, by its cells."""
    if column.strings:
        return named_files(column, _names_picture, "image")
    if column.files:
        inside = mostly(lambda c: _is_picture(c["bytes"] or b"") or _names_picture(c["path"] or ""), column.files)
        return Claim("image files inside the table") if inside else None
    if column.binaries:
        return Claim("bytes of image files") if mostly(_is_picture, column.binaries) else None
    if column.type is None:
        return _of_objects(column)
    if not column.arrays:
        return None
    inner, depth = column.listed
    if depth == 3 and any(a.ndim == 3 and min(a.shape[0], a.shape[2]) <= 4 for a in column.arrays):
        return Claim("lists of three axes, one with at most 4 channels")
    if depth == 2 and types.is_uint8(inner) and all(map(_is_grey, column.arrays)):
        return Claim("lists of rows of bytes: grey pictures")
    return None


def _of_objects(column: Column) -> Claim | None:
    """Pictures of PIL, or arrays."""
    if not any(isinstance(cell, np.ndarray) for cell in column.cells):
        return Claim("pictures") if type(column.cells[0]).__module__.startswith("PIL.") else None
    arrays = column.arrays
    if arrays and arrays[0].ndim == 3 and min(arrays[0].shape[0], arrays[0].shape[2]) <= 4:
        return Claim(f"arrays of {shape_of(arrays)} with at most 4 channels")
    if arrays and arrays[0].ndim == 2 and all(map(_is_grey, arrays[:32])):
        return Claim(f"arrays of {shape_of(arrays)} with values of a grey picture")
    return None


def _is_grey(array: np.ndarray) -> bool:
    """Whether an array looks like a grey image, not like channels over time."""
    if array.ndim != 2 or min(array.shape) < 8 or max(array.shape) > 4 * min(array.shape):
        return False
    if array.dtype in (np.uint8, bool):
        return True
    low, high = array.min(), array.max()
    return array.shape[0] == array.shape[1] and low >= 0 and (high <= 1 or (array.dtype.kind in "iu" and high <= 255))


def _names_picture(cell: str) -> bool:
    return bool(_FILES.search(cell))


def _is_picture(data: bytes) -> bool:
    return data.startswith(_MAGIC) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP") or data[4:12] == b"ftypavif"
