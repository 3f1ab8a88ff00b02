"""Files in folders, one a row: what lies there, and what the folders say of split and class."""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from kontrast.data.schema import split


def walked(folder: Path, suffixes: Collection[str] | None) -> Iterator[str]:
    """Relative paths, with forward slashes, of the files with these suffixes (None: of all files).

    Hidden files and what macOS leaves in archives are passed over.
    """
    seen = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:  # a link back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX")))
        base = Path(here).relative_to(folder)
        for file in files:
            wanted = suffixes is None or os.path.splitext(file)[1].lower() in suffixes
            if wanted and not file.startswith("."):
                yield (base / file).as_posix()


def spelled(path: str) -> str:
    r"""A path as text that any file can hold: bytes of a name that are no UTF-8 become \xe9 and the like."""
    return path if path.isascii() else path.encode("utf8", "surrogateescape").decode("utf8", "backslashreplace")


def found(folder: Path, name: str | Path) -> Path:
    """The path that a cell names: as it stands, or where no such file is, as `spelled` wrote it."""
    path = folder / name
    if "\\x" not in str(name) or there(path):
        return path
    parts = re.split(r"\\x([89a-f][0-9a-f])", str(name))  # never a byte of ASCII: no / and no . comes of it
    raw = b"".join(bytes.fromhex(part) if n % 2 else os.fsencode(part) for n, part in enumerate(parts))
    return folder / os.fsdecode(raw)


def there(path: Path) -> bool:
    """Whether that is a file; whatever a cell holds, for most strings are no file's name."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a NUL: no file has it
        return False


def inside(folder: Path, path: str) -> bool:
    """Whether that file lies in the folder itself, and no link leads out."""
    return Path(os.path.realpath(folder / path)).is_relative_to(os.path.realpath(folder))


def said(paths: Sequence[str]) -> dict[str, pa.ChunkedArray]:
    """Columns `split`, where all top folders are named like one (train, test, val ...), and `label`, the name of the
    subfolder, where files lie in two or more of them and none beside them.
    """
    columns: dict[str, list[str]] = {}
    inner = [spelled(path).split("/") for path in paths]
    splits = [split.part(parts[0]) if len(parts) > 1 else None for parts in inner]
    if all(splits):
        columns["split"] = [str(s) for s in splits]
        inner = [parts[1:] for parts in inner]
    classes = {parts[0] for parts in inner}
    if len(classes) > 1 and all(len(parts) > 1 for parts in inner):
        columns["label"] = [parts[0] for parts in inner]
    return {name: pa.chunked_array([pa.array(values, pa.string())]) for name, values in columns.items()}
