"""Files in folders, one per row, and the split and class that folder names give."""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from kontrast.data.schema import split


def walk(folder: Path, suffixes: Collection[str] | None) -> Iterator[str]:
    """Yields paths of files with certain suffixes, relative to a folder.

    Hidden files and those that macOS adds to archives are skipped. Paths have forward slashes.

    Args:
        folder: Searched with its subfolders; links are followed.
        suffixes: Lower-case suffixes with the dot; None for all files.
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


def encode_name(path: str) -> str:
    r"""Path as valid text: bytes that are not UTF-8 become escapes such as \xe9."""
    return path if path.isascii() else path.encode("utf8", "surrogateescape").decode("utf8", "backslashreplace")


def locate(folder: Path, name: str | Path) -> Path:
    """Path that a cell names: as written, else decoded from `encode_name`."""
    path = folder / name
    if "\\x" not in str(name) or there(path):
        return path
    parts = re.split(r"\\x([89a-f][0-9a-f])", str(name))  # bytes beyond ASCII only, so that no / or . results
    raw = b"".join(bytes.fromhex(part) if n % 2 else os.fsencode(part) for n, part in enumerate(parts))
    return folder / os.fsdecode(raw)


def there(path: Path) -> bool:
    """Whether a path is a file; False for strings that cannot be paths."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # the name is too long or contains NUL
        return False


def inside(folder: Path, path: str) -> bool:
    """Whether a file is in the folder itself, with links resolved."""
    return Path(os.path.realpath(folder / path)).is_relative_to(os.path.realpath(folder))


def columns_of_folders(paths: Sequence[str]) -> dict[str, pa.ChunkedArray]:
    """Columns `split` and `label` from the names of folders.

    `split` is present if all top folders are named like a split (train, test, val ...). `label` is the name of the
    subfolder, if files are in two or more of them and none beside them.
    """
    columns: dict[str, list[str]] = {}
    inner = [encode_name(path).split("/") for path in paths]
    splits = [split.part(parts[0]) if len(parts) > 1 else None for parts in inner]
    if all(splits):
        columns["split"] = [str(s) for s in splits]
        inner = [parts[1:] for parts in inner]
    classes = {parts[0] for parts in inner}
    if len(classes) > 1 and all(len(parts) > 1 for parts in inner):
        columns["label"] = [parts[0] for parts in inner]
    return {name: pa.chunked_array([pa.array(values, pa.string())]) for name, values in columns.items()}
