"""Text and JSON files from untrusted sources: read in bounded memory, or refused with a message."""

import json
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kontrast.core.errors import UserError

LARGEST = 256_000_000  # bytes; what a run keeps in JSON is far smaller (thumbnails of 5,000 rows take some 20 MB)
_HALVES = re.compile("[\ud800-\udfff]")


def text(file: Path) -> str:
    """Reads UTF-8 text; skips a byte order mark.

    Raises:
        UserError: The file is not a regular file, too large, unreadable, or not UTF-8.
    """
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):  # reading a pipe may never end
            raise UserError(f"{file} is no regular file; expected one of text.")
        if found.st_size > LARGEST:
            raise UserError(f"{file} takes {found.st_size:,} bytes; expected at most {LARGEST:,}.")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is damaged: it is not UTF-8 text ({error}).") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}.") from error


def tree(words: str | bytes, who: str) -> Any:
    """Parses JSON.

    Args:
        words: The JSON text.
        who: Begins the message.

    Raises:
        UserError: The text is not valid JSON, or nested too deeply.
    """
    try:
        return json.loads(words)
    except json.JSONDecodeError as error:
        raise UserError(f"{who} is not JSON: {error}.") from error
    except RecursionError as error:
        raise UserError(f"{who} is not JSON that can be read: it is nested too deeply.") from error
    except ValueError as error:  # not UTF-8, or a number of more digits than Python converts
        raise UserError(f"{who} is not JSON that can be read: {error}.") from error


def written(value: Any, indent: int | None = None) -> str:
    """Serialises to JSON that is valid UTF-8.

    Halves of surrogate pairs, as in file names that are not UTF-8, become escapes that `tree` restores.

    Args:
        value: Plain JSON values.
        indent: Spaces per level; None for a single line. Default: None.
    """
    return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", json.dumps(value, indent=indent, ensure_ascii=False))


def shaped(value: Any, wanted: Any, who: str) -> Any:
    """Checks the shape of JSON.

    Args:
        value: Parsed JSON.
        wanted: A type or a tuple of types; `[shape]` for a list of that shape; `{name: shape}` for an object with at
            least these names (a name that ends with ? may be absent or null); `{"*": shape}` for an object with values
            of that shape.
        who: Begins the message.

    Returns:
        `value`.

    Raises:
        UserError: The shape differs; the message names the place.
    """
    if isinstance(wanted, list):
        for number, one in enumerate(_of(value, list, who)):
            shaped(one, wanted[0], f"{who}[{number}]")
    elif isinstance(wanted, Mapping):
        for name, shape in _of(value, dict, who).items() if "*" in wanted else ():
            shaped(shape, wanted["*"], f"{who}.{name}")
        for name, shape in wanted.items():
            bare = name.removesuffix("?")
            if bare == "*" or (name.endswith("?") and value.get(bare) is None):
                continue
            if bare not in _of(value, dict, who):
                raise UserError(f"{who} lacks '{bare}': it is damaged, or of another version of kontrast.")
            shaped(value[bare], shape, f"{who}.{bare}")
    else:
        _of(value, wanted, who)
    return value


@contextmanager
def fitting(who: str) -> Iterator[None]:
    """Reports errors inside the context as damage of the file whose values are used."""
    try:
        yield
    except UserError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError) as error:
        words = (str(error).splitlines() or [""])[0][:200]
        raise UserError(
            f"{who} is damaged, or of another version of kontrast ({type(error).__name__}: {words}). Restore it, or "
            "train anew."
        ) from error


def _of(value: Any, kind: type | tuple[type, ...], who: str) -> Any:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    truth = isinstance(value, bool) and bool not in kinds and object not in kinds  # to Python, True is a number
    if truth or not isinstance(value, kinds):
        wanted = " or ".join(one.__name__ for one in kinds)
        raise UserError(f"{who} is {str(value)[:60]!r}; expected {wanted}: it is damaged, or of another version.")
    return value
