"""Arrays in numpy's format from untrusted files: no pickles, and no more memory than the file warrants."""

import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from kontrast.core import available_memory
from kontrast.core.byte_size import size
from kontrast.core.errors import UserError

# An archive that unpacks to more than both is no data: numbers that were measured shrink 2 to 10 times.
LARGE, _TIMES = 1_000_000_000, 100
_PART = 16_000_000  # bytes read at a time
# What numpy, zipfile and zlib raise on bytes that are no array.
_REFUSED = (
    *(ValueError, OSError, EOFError, SyntaxError, tokenize.TokenError, TypeError, LookupError, RecursionError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, MemoryError, OverflowError),
)


def mapped(path: Path) -> np.ndarray:
    """Opens a .npy file, memory-mapped.

    Raises:
        UserError: no sound array of numbers or strings.
    """
    return _read(lambda: _sound(np.load(path, mmap_mode="r", allow_pickle=False)), str(path))


def read(file: IO[bytes], length: int, who: str) -> np.ndarray:
    """Reads one array.

    Args:
        file: Open at the start of the array.
        length: Bytes that it holds; a header that asks for more is refused.
        who: Begins the messages.

    Raises:
        UserError: no sound array of numbers or strings.
    """

    def array() -> np.ndarray:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):  # 3.0 is for names of fields, which no column has
            raise ValueError(f"version {version} of the format is not read")
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, columns_first, kind = header(file)
        if kind.hasobject:
            raise ValueError("Python objects")
        if any(n < 0 for n in shape):
            raise ValueError(f"its header says shape {shape}")
        count = int(np.prod(shape, dtype=object))
        needed = count * kind.itemsize
        if needed > length:
            raise ValueError(f"its header says {size(needed)}, but it holds {size(length)}")
        made = np.empty(count, kind)
        if needed:
            at, bytes_ = 0, made.view(np.uint8)
            while at < needed and (part := file.read(min(_PART, needed - at))):
                bytes_[at : at + len(part)] = np.frombuffer(part, np.uint8)
                at += len(part)
            if at < needed:
                raise ValueError(f"it ends after {size(at)} of {size(needed)}")
        return _sound(made.reshape(shape[::-1]).transpose() if columns_first else made.reshape(shape))

    return _read(array, who)


def archive(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of a .npz file.

    Raises:
        UserError: damage, a repeated name, an archive that unpacks to too much, or not enough memory.
    """
    arrays: dict[str, np.ndarray] = {}

    def read_all() -> dict[str, np.ndarray]:
        with zipfile.ZipFile(path) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            total = sum(member.file_size for member in members)
            packed = path.stat().st_size
            if total > max(LARGE, _TIMES * packed):
                raise UserError(
                    f"{path} takes {size(packed)} and unpacks to {size(total)}, {total // max(packed, 1):,} times as "
                    "much; no data does. If it is yours, save it again with np.savez, which does not compress."
                )
            available_memory.enough(total, str(path), "Save its arrays as .npy files, which are read from the disk.")
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise UserError(f"{path} holds two arrays named '{name[:80]}'; give each a name of its own.")
                with opened.open(member) as file:
                    arrays[name] = read(file, member.file_size, f"{path}, array '{name[:80]}'")
        return arrays

    return _read(read_all, str(path))


def _sound(array: np.ndarray) -> np.ndarray:
    """Refuses arrays that are no data.

    Those are values that are neither numbers nor strings, strings of invalid characters, and rows without content, of
    which there may be any number in no byte.
    """
    if array.ndim and len(array) and not array.nbytes:
        raise ValueError(f"its rows hold nothing: shape {array.shape}, type {array.dtype}")
    if array.dtype.kind not in "biufSUMm" or array.dtype.subdtype is not None:
        raise ValueError(f"values of type {array.dtype} are neither numbers nor strings")
    if array.dtype.kind == "U":
        codes = np.ascontiguousarray(array).view(np.uint32 if array.dtype.isnative else ">u4")
        if (codes > 0x10FFFF).any() or ((codes >= 0xD800) & (codes < 0xE000)).any():
            raise ValueError("its strings hold numbers that are no characters")
    return array


def _read(made: Callable[[], Any], who: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            return made()
    except UserError:
        raise
    except _REFUSED as error:
        raise UserError(_words(who, error)) from error


def _words(who: str, error: Exception) -> str:
    """Says why a file of numpy is not read."""
    if "pickle" in str(error) or "Python objects" in str(error):
        return (
            f"{who} holds pickled Python objects, which could run any code and are never loaded. "
            "Save plain arrays: numbers, or strings as dtype str."
        )
    return f"{who} is no readable file of numpy: {str(error)[:200].rstrip('.') or type(error).__name__}."
