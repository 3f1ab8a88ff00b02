"""Pictures in a folder, one row a file."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from kontrast.data import split
from kontrast.data.frame import Frame
from kontrast.data.source import SourceReader

SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".avif"}


class Images(SourceReader):
    """A folder of images, with or without subfolders for classes and for train and test.

    Columns: `image`, the path relative to the folder, which is also the row's id; `split` where the top folders are
    named like one (train, test, val ...); `label`, the name of the subfolder, where pictures lie in two or more of
    them and none beside them.
    """

    order = 70
    reads = "a folder of images"

    def claims(self, data: object) -> bool:
        """A folder with a picture anywhere in it."""
        return isinstance(data, Path) and data.is_dir() and next(_pictures(data), None) is not None

    def open(self, data: object, cache: Path | None) -> Frame:
        """The paths of the pictures, sorted; the files stay closed."""
        assert isinstance(data, Path)
        paths = sorted(_pictures(data))
        columns = {"image": paths}
        inner = [path.split("/") for path in paths]
        splits = [split.part(parts[0]) if len(parts) > 1 else None for parts in inner]
        if all(splits):
            columns["split"] = [str(s) for s in splits]
            inner = [parts[1:] for parts in inner]
        classes = {parts[0] for parts in inner}
        if len(classes) > 1 and all(len(parts) > 1 for parts in inner):
            columns["label"] = [parts[0] for parts in inner]
        arrays = {name: pa.chunked_array([pa.array(values, pa.string())]) for name, values in columns.items()}
        return Frame(arrays, data.name or str(data), data)


def _pictures(folder: Path) -> Iterator[str]:
    """Relative paths with forward slashes; hidden files and what macOS leaves in archives are passed over."""
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
            if os.path.splitext(file)[1].lower() in SUFFIXES and not file.startswith("."):
                yield (base / file).as_posix()
