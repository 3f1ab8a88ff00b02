"""Decoding of videos to frames (T, C, H, W): animated pictures, folders and lists of pictures, arrays."""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pil
from PIL import ImageSequence

from kontrast.core.errors import Unreadable
from kontrast.data.schema import file_tree, unsupported
from kontrast.modalities.image.picture import LARGEST, as_bytes, picture

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".avif"})
ANIMATED = re.compile(r"\.(gif|webp|a?png)$", re.IGNORECASE)
"""Files that may hold several frames."""
MOST_PIXELS = 4_000_000_000
"""Of all frames that a file may announce: four minutes of 640 x 480 at 50 frames per second."""
_PLAYED = ("GIF", "PNG", "WEBP", "AVIF")  # formats of PIL
_GAPS = re.compile(r"(\d+)")

Shrink = Callable[[np.ndarray], np.ndarray]


def frames(cell: Any, folder: Path, channels: int, most: int, shrink: Shrink) -> np.ndarray:
    """Decodes a video.

    Args:
        cell: A path of an animated file or of a folder of pictures, an animated file as bytes, `{"bytes": ..., "path":
            ...}`, an animated picture of PIL, an array (T, H, W, C), (T, C, H, W) or (T, H, W), or a list of pictures
            in any form that `picture` reads. A single picture is a video of one frame.
        folder: Paths are relative to it.
        channels: Number of channels that an array may have besides 1 and 3.
        most: Largest number of frames; a longer video is thinned evenly.
        shrink: Makes a frame (C, H, W) smaller, before the next one is decoded.

    Returns:
        (T, C, H, W) uint8, T at least 1; frames of differing size have that of the first.

    Raises:
        Unreadable: with the reason.
    """
    if isinstance(cell, Mapping):
        cell = cell["bytes"] if cell.get("bytes") is not None else cell.get("path")
    if isinstance(cell, str | Path):
        cell = _located(cell, folder)
    if isinstance(cell, bytes | bytearray | memoryview):
        cell = _opened(bytes(cell))
    if isinstance(cell, Pil.Image):
        count = frames_in(cell)
        if count * cell.width * cell.height > MOST_PIXELS:
            raise Unreadable(f"{count:,} frames of {cell.width} x {cell.height}: more than {MOST_PIXELS:,} pixels.")
        found: Iterable[Any] = _played(cell)
    elif isinstance(cell, list | tuple) and not _nested_numbers(cell):
        count, found = len(cell), cell
    else:
        found = _of_array(cell)
        count = len(found)
    if not count:
        raise Unreadable("no frames.")
    kept = np.linspace(0, count - 1, min(count, most)).round().astype(int)
    wanted = set(kept.tolist())
    read = [shrink(picture(one, folder, channels)) for place, one in enumerate(found) if place in wanted]
    if not read:
        raise Unreadable("no frame that can be decoded.")
    return _alike(read, shrink)


def frames_in(image: Pil.Image) -> int:
    """Number of frames of a picture of PIL; 1 if its format has no animation.

    Raises:
        Unreadable: the file is damaged.
    """
    try:
        several = getattr(image, "n_frames", 1) if image.format in (*_PLAYED, "TIFF") else 1
        return max(1, several - bool(image.info.get("default_image")))
    except Exception as error:  # decoders raise what they like on hostile bytes
        raise Unreadable(f"a damaged animation: {error}.") from error


def is_animated(data: bytes | Path) -> bool:
    """Whether a file holds a picture of several frames; only heads are read, no pixel is decoded."""
    try:
        with Pil.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
            return plays(image)
    except Exception:  # as in frames_in: what cannot be opened is no animation
        return False


def plays(image: Pil.Image) -> bool:
    """Whether a picture of PIL has several frames in time; pages of a TIFF and views of a camera's JPEG are none."""
    return image.format in _PLAYED and bool(getattr(image, "is_animated", False))


def in_order(names: Iterable[str]) -> list[str]:
    """Names of frames by their numbers: 2.png before 10.png."""
    return sorted(names, key=lambda name: [int(p) if p.isdigit() else p for p in _GAPS.split(name)])


def _located(name: str | Path, folder: Path) -> list[Path] | bytes:
    """The pictures of a folder in order, or the bytes of a file."""
    if unsupported.of_name(str(name)) == "video":
        raise Unreadable(f"{unsupported.words('video')}.")
    path = file_tree.locate(folder, name)
    try:
        if path.is_dir():
            names = [one.name for one in path.iterdir() if one.suffix.lower() in PICTURES and one.name[0] != "."]
            if not names:
                raise Unreadable("a folder without pictures; expected one per frame.")
            return [path.absolute() / one for one in in_order(names)]
        if not path.is_file():
            raise Unreadable("no such file.")
        if path.stat().st_size > LARGEST:
            raise Unreadable(f"a file of {path.stat().st_size:,} bytes: expected at most {LARGEST:,}.")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"cannot be opened: {getattr(error, 'strerror', None) or error}.") from error


def _opened(data: bytes) -> Pil.Image:
    if not data:
        raise Unreadable("an empty file.")
    if unsupported.of_bytes(data) == "video":
        raise Unreadable(f"{unsupported.words('video')}.")
    try:
        return Pil.open(io.BytesIO(data))
    except Exception as error:  # as in frames_in
        raise Unreadable("no animated picture that can be read; expected GIF, PNG or WebP.") from error


def _played(image: Pil.Image) -> Iterator[Pil.Image]:
    """Frames as they are shown, one after the other; a picture for programs without animation is left out."""
    places = ImageSequence.Iterator(image)
    try:
        for place, frame in enumerate(places):
            if place or not image.info.get("default_image"):
                yield frame.copy()
    except Unreadable:
        raise
    except Exception as error:  # as in frames_in
        raise Unreadable(
            f"a damaged {image.format or 'animation'}: {str(error)[:120] or type(error).__name__}."
        ) from error


def _nested_numbers(cell: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list is an array that has not been made one: numbers, or arrays of one shape."""
    shapes = {one.shape for one in cell if isinstance(one, np.ndarray)}
    if shapes:
        return len(shapes) == 1 and all(isinstance(one, np.ndarray) for one in cell)
    return bool(cell) and isinstance(cell[0], int | float | list | tuple)


def _of_array(cell: Any) -> np.ndarray:
    """(T, ...) uint8 of an array; all frames are scaled alike."""
    try:
        array = np.asarray(cell)
    except (ValueError, TypeError) as error:
        raise Unreadable(f"no array of frames: {error}.") from error
    if array.ndim not in (2, 3, 4) or not array.size:
        raise Unreadable(f"an array of shape {array.shape}: expected T x H x W x C, T x C x H x W or T x H x W.")
    array = as_bytes(array)
    return array[None] if array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (1, 3, 4)) else array


def _alike(read: list[np.ndarray], shrink: Shrink) -> np.ndarray:
    """Frames as one array: with the size of the first, in colour if one is."""
    count, size = max(map(len, read)), read[0].shape[1:]
    if any(frame.shape[1:] != size for frame in read):
        read = [frame if frame.shape[1:] == size else _fitted(frame, size) for frame in read]
    if any(len(frame) not in (1, count) for frame in read):
        raise Unreadable(f"frames of {sorted({len(frame) for frame in read})} channels: expected the same of all.")
    return np.stack([frame if len(frame) == count else frame.repeat(count, 0) for frame in read])


def _fitted(frame: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    planes = [Pil.fromarray(plane).resize((size[1], size[0]), Pil.Resampling.BILINEAR) for plane in frame]
    return np.stack([np.asarray(plane) for plane in planes])
