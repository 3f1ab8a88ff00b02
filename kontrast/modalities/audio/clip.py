"""Decoding of sounds to samples with their rate: files, encoded bytes, and arrays with a rate."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kontrast.core.errors import Unreadable, needs
from kontrast.data.schema import file_tree
from kontrast.data.schema.named_file import named_file

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf"})
RATE_NAMES = ("sampling_rate", "rate", "sample_rate", "sr")  # of a record beside `array`
LARGEST = 2_000_000_000  # bytes of a file
_LONGEST = 500_000_000  # samples over all channels: what a compressed file may unpack to
_SLOWEST, _FASTEST = 100, 1_000_000  # samples per second that a rate may say
_LOUDEST = 2.0  # floats beyond this are no samples in -1..1, even after a lossy codec


class Clip(np.ndarray):
    """Samples of one sound, (T, C) float32, with their rate.

    Attributes:
        rate: Samples per second.
    """

    rate: int

    def __array_finalize__(self, source: Any) -> None:
        if source is not None:
            self.rate = getattr(source, "rate", 0)


def made(samples: np.ndarray, rate: int) -> Clip:
    """A clip of samples (T, C)."""
    clip = np.ascontiguousarray(samples, np.float32).view(Clip)
    clip.rate = rate
    return clip


def clip(cell: Any, folder: Path, rate: int | None = None) -> Clip:
    """Decodes a sound.

    Args:
        cell: A path relative to `folder`, an encoded file as bytes, `{"bytes": ..., "path": ...}` or
            `{"array": ..., "sampling_rate": ...}` as `datasets` gives them, (array, rate), or an array.
        folder: Paths are relative to it.
        rate: Samples per second of an array that comes without; None: such an array is refused.

    Returns:
        (T, C) float32 in -1..1; a louder one is scaled to a peak of 1.

    Raises:
        Unreadable: with the reason.
    """
    if isinstance(cell, Mapping):
        if cell.get("array") is not None:
            return _of_array(cell["array"], next((cell[name] for name in RATE_NAMES if cell.get(name)), rate))
        cell = cell["bytes"] if cell.get("bytes") is not None else cell.get("path")
    if isinstance(cell, tuple | list) and len(cell) == 2 and np.ndim(cell[0]) and not np.ndim(cell[1]):
        return _of_array(*cell)
    if isinstance(cell, str | Path):
        return _decoded(named_file(folder, cell, kind="sounds", largest=LARGEST))
    if isinstance(cell, bytes | bytearray | memoryview):
        if not cell:
            raise Unreadable("an empty file")
        return _decoded(io.BytesIO(bytes(cell)))
    if cell is None:
        raise Unreadable("nothing there: expected a path, bytes, or an array with its rate")
    return _of_array(cell, rate)


def rate_of(cell: Any, folder: Path) -> int | None:
    """Samples per second that a cell says, from the head of its file; None for an array without a rate.

    Raises:
        Unreadable: with the reason.
    """
    if isinstance(cell, Mapping) and cell.get("array") is not None:
        return next((int(cell[name]) for name in RATE_NAMES if cell.get(name)), None)
    if isinstance(cell, tuple):
        return int(cell[1])
    if isinstance(cell, Mapping):
        cell = cell["bytes"] if cell.get("bytes") is not None else cell.get("path")
    if not isinstance(cell, str | Path | bytes):
        return None
    source = io.BytesIO(cell) if isinstance(cell, bytes) else file_tree.locate(folder, cell)
    try:
        return int(needs("soundfile", "audio").info(source).samplerate)
    except (RuntimeError, OSError, TypeError, ValueError) as error:
        raise Unreadable(f"no sound whose head can be read: {error}") from error


def _decoded(source: Path | io.BytesIO) -> Clip:
    soundfile = needs("soundfile", "audio")
    try:
        with soundfile.SoundFile(source) as file:
            if file.frames * file.channels > _LONGEST:
                raise Unreadable(f"{file.frames:,} samples of {file.channels} channels; expected at most {_LONGEST:,}")
            return _sound(file.read(dtype="float32", always_2d=True), file.samplerate)
    except Unreadable:
        raise
    except (RuntimeError, OSError, TypeError, ValueError) as error:  # what libsndfile finds wrong is a RuntimeError
        words = str(error).splitlines()[0].rpartition(": ")[2].strip(" .")
        words = "unknown format" if "does not exist" in words else words  # what libsndfile calls any file of mpg123
        raise Unreadable(f"no sound that can be decoded ({words}); expected wav, flac, ogg or mp3") from error


def _of_array(array: Any, rate: Any) -> Clip:
    try:
        samples = np.asarray(array)
    except (ValueError, TypeError) as error:
        raise Unreadable("its lists differ in length, so it is no array of samples") from error
    if samples.dtype.kind not in "iuf" or samples.ndim not in (1, 2):
        raise Unreadable(
            f"an array of {samples.dtype} with {samples.ndim} axes; expected samples, or samples x channels"
        )
    if rate is None:
        raise Unreadable(
            'an array without its rate; give (array, rate) or {"array": ..., "sampling_rate": ...}, or set rate='
        )
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number) or not float(rate).is_integer():
        raise Unreadable(f"the rate {rate!r}; expected a whole number of samples per second")
    samples = samples[:, None] if samples.ndim == 1 else samples
    return _sound(_floats(samples if samples.shape[0] >= samples.shape[1] else samples.T), int(rate))


def _floats(samples: np.ndarray) -> np.ndarray:
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    bits = 8 * samples.dtype.itemsize
    level = samples.astype(np.float64) - (2 ** (bits - 1) if samples.dtype.kind == "u" else 0)
    return (level / 2 ** (bits - 1)).astype(np.float32)


def _sound(samples: np.ndarray, rate: int) -> Clip:
    if not _SLOWEST <= rate <= _FASTEST:
        raise Unreadable(f"a rate of {rate:,} samples per second; expected {_SLOWEST:,} to {_FASTEST:,}")
    if not samples.size:
        raise Unreadable("a clip without samples")
    peak = float(np.abs(samples).max())
    if not np.isfinite(peak):
        raise Unreadable("samples that are not finite")
    if peak > _LOUDEST:
        raise Unreadable(f"samples up to {peak:,.6g}; expected -1 to 1, or whole numbers: divide them by their largest")
    return made(samples / peak if peak > 1 else samples, rate)
