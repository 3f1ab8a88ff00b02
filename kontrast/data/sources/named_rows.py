"""Files of one kind in a folder, one row per file, for the sources that read such folders."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from kontrast.data.schema import file_tree
from kontrast.data.tables.frame import Frame


def holds(data: object, suffixes: Collection[str]) -> bool:
    """Whether data is a folder with such a file anywhere in it, or one such file."""
    if not isinstance(data, Path):
        return False
    if data.is_dir():
        return next(file_tree.walk(data, suffixes), None) is not None
    return data.suffix.lower() in suffixes and data.is_file()


def opened(data: Path, suffixes: Collection[str], column: str) -> Frame:
    """The sorted paths of the files, which stay closed, and what the folders say of them.

    Args:
        data: A folder or a file.
        suffixes: In lower case.
        column: Name of the column of paths.
    """
    folder = data if data.is_dir() else data.parent
    paths = sorted(file_tree.walk(data, suffixes)) if data.is_dir() else [data.name]
    names = pa.chunked_array([pa.array([file_tree.encode_name(path) for path in paths], pa.string())])
    return Frame({column: names, **file_tree.columns_of_folders(paths)}, data.name or str(data), folder)
