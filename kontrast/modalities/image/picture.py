"""Decoding of pictures to (C, H, W) uint8: upright, on white, 16 bits scaled.

PIL decodes. torchvision's decoders are 4x faster on thumbnails, but deprecated since 0.29, and a picture is read once.
"""

import io
import re
import stat
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pil
from PIL import ImageOps

from kontrast.core.errors import Unreadable
from kontrast.data.schema import file_tree

LARGEST = 512_000_000  # bytes of a file; the largest picture allowed takes less, in any format
_SCHEME = re.compile(r"(file|https?|ftp|s3|gs|hf|data):", re.IGNORECASE)
MEGAPIXELS = 64  # what a header may announce; more is refused before a pixel is decoded (decompression bombs)


def picture(cell: Any, folder: Path, channels: int = 0, enough: int = 1 << 16) -> np.ndarray:
    """Decodes a picture to (C, H, W) uint8.

    Args:
        cell: A path relative to `folder`, an encoded file as bytes, `{"bytes": ..., "path": ...}` as `datasets` gives
            it, a PIL image, or an array HW, HWC or CHW of bool, uint8, uint16, other integers 0..255, or floats in 0..1
            or 0..255.
        folder: Paths are relative to it.
        channels: Number of channels that an array may have besides 1 and 3.
        enough: Pixels; a JPEG may be decoded at a half, a quarter or an eighth if no side falls below this.

    Returns:
        (C, H, W) uint8 with C of 1 (grey), 3 (RGB), or `channels`.

    Raises:
        Unreadable: with the reason.
    """
    if isinstance(cell, dict):
        cell = cell["bytes"] if cell.get("bytes") is not None else cell.get("path")
    if isinstance(cell, str | Path):
        cell = _load(folder, cell)
    if isinstance(cell, bytes | bytearray | memoryview):
        return _settle(_decode(bytes(cell), enough), channels)
    if isinstance(cell, Pil.Image):
        return _settle(_from_pil(cell), channels)
    if cell is None:
        raise Unreadable("nothing there: expected a path, bytes or an array.")
    try:
        array = np.asarray(cell)
    except ValueError as error:
        raise Unreadable(f"not an array: {error}.") from error
    return _settle(_channels_first(array), channels)


def _load(folder: Path, name: str | Path) -> bytes:
    if scheme := _SCHEME.match(str(name)):
        if scheme[1].lower() == "file":
            raise Unreadable("an address, not a path: write it without file://.")
        raise Unreadable("a web address, not a file: download the pictures first.")
    path = file_tree.locate(folder, name)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode) and not stat.S_ISDIR(state.st_mode):  # a pipe would be waited for forever
            raise Unreadable("a device or a pipe, not a file.")
        if state.st_size > LARGEST:
            raise Unreadable(f"a file of {state.st_size:,} bytes: expected at most {LARGEST:,}.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Unreadable("no such file.") from error
    except IsADirectoryError as error:
        raise Unreadable("a folder, not a file.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise Unreadable(f"cannot be opened: {getattr(error, 'strerror', None) or error}.") from error


def _decode(data: bytes, enough: int) -> np.ndarray:
    """Decodes a file to (C, H, W) uint8 or wider; if C is 2 or 4, the last channel is alpha."""
    if not data:
        raise Unreadable("an empty file.")
    try:
        head = Pil.open(io.BytesIO(data))
    except (Pil.DecompressionBombError, Pil.DecompressionBombWarning) as error:
        raise Unreadable(f"announces more than {MEGAPIXELS} megapixels.") from error
    except Pil.UnidentifiedImageError as error:
        raise Unreadable("not a picture of a known format.") from error
    except Exception as error:  # as in _from_pil
        raise Unreadable(f"damaged: {_short(error)}.") from error
    _refuse_bomb(*head.size)
    head.draft(None, (enough, enough))
    return _from_pil(head)


def _from_pil(image: Pil.Image) -> np.ndarray:
    _refuse_bomb(*image.size)
    # Decoders meet hostile bytes here and raise what they like (OSError, SyntaxError, struct.error, IndexError, ...):
    # any of it means unreadable.
    try:
        return _pixels(ImageOps.exif_transpose(image))
    except Exception as error:
        raise Unreadable(f"damaged {image.format or 'picture'}: {_short(error)}.") from error


def _pixels(image: Pil.Image) -> np.ndarray:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _channels_first(np.asarray(image))  # `convert` would clip 16 bits to white
    kind = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if image.has_transparency_data:
        kind += "A"
    return _channels_first(np.asarray(image.convert(kind)))


def _channels_first(array: np.ndarray) -> np.ndarray:
    """HW, HWC or CHW -> (C, H, W): the shorter of the two outer axes holds the channels."""
    if array.ndim == 2:
        return array[None]
    if array.ndim != 3:
        raise Unreadable(f"an array of shape {array.shape}: expected HW, HWC or CHW.")
    return array if array.shape[0] < array.shape[2] else array.transpose(2, 0, 1)


def _settle(array_CHW: np.ndarray, channels: int) -> np.ndarray:
    """Any number type and alpha -> uint8 without alpha."""
    if 0 in array_CHW.shape:
        raise Unreadable(f"no pixels: shape {array_CHW.shape}.")
    _refuse_bomb(*array_CHW.shape[1:])
    array_CHW = as_bytes(array_CHW)
    count = len(array_CHW)
    if count == channels or count in (1, 3):
        return np.ascontiguousarray(array_CHW)
    if count not in (2, 4):
        raise Unreadable(f"{count} channels: expected 1, 3 or 4, or set channels={count}.")
    alpha = array_CHW[-1:].astype(np.uint32)
    return ((array_CHW[:-1] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def as_bytes(array: np.ndarray) -> np.ndarray:
    """Pixels of any number type as uint8; floats up to 1 are scaled to 255.

    Raises:
        Unreadable: no numbers, or some below 0 or above 255.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind not in "iuf":
        raise Unreadable(f"an array of {array.dtype}: expected numbers.")
    low, high = float(array.min()), float(array.max())
    if not 0 <= low <= high <= 255:  # also false for NaN
        raise Unreadable(
            f"{array.dtype} values from {low:g} to {high:g}: expected 0..1 or 0..255, or uint16; scale them."
        )
    return (array * (255 if array.dtype.kind == "f" and high <= 1 else 1) + 0.5).astype(np.uint8)


def _refuse_bomb(side: int, other: int) -> None:
    if side * other > MEGAPIXELS * 1_000_000:
        raise Unreadable(f"{side} x {other} pixels: expected at most {MEGAPIXELS} megapixels.")


def _short(error: Exception) -> str:
    return str(error).split("\n")[0].strip(" .")[:120] or type(error).__name__
