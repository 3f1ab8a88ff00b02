"""A folder of tables: a single one, or one each for train, test and validation."""

from pathlib import Path

from kontrast.data.sources import split_files
from kontrast.data.sources.images import SUFFIXES
from kontrast.data.sources.open_source import open_frame
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame

_TABLES = {".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".feather", ".npz"}


class Folder(SourceReader):
    """A folder of tables: train.csv and test.csv, one table of any kind, or metadata beside its pictures.

    NAME_train.csv and NAME_test.csv are also found by the stem NAME.
    """

    order = 60
    reads = "a folder with train and test tables, or one table"

    def claims(self, data: object) -> bool:
        """Claims folders of tables: parts of a split, a single table, or one named metadata."""
        return isinstance(data, Path) and (bool(split_files.sets(data, _TABLES)) or _single(data) is not None)

    def open(self, data: object, cache: Path | None) -> Frame:
        """Concatenates the tables; paths in them are relative to the folder."""
        assert isinstance(data, Path)
        single = _single(data)
        if single is None:
            return split_files.opened(data, _TABLES, lambda path: open_frame(path, cache=cache))
        frame = open_frame(single, cache=cache)
        return Frame(frame.columns, data.name, data)


def _single(folder: Path) -> Path | None:
    tables = sorted(p for p in folder.glob("*") if p.suffix.lower() in _TABLES and not p.name.startswith("."))
    described = [p for p in tables if p.stem == "metadata"]
    if len(described) == 1:
        return described[0]
    pictures = len(tables) == 1 and any(p.suffix.lower() in SUFFIXES for p in folder.rglob("*"))
    return tables[0] if len(tables) == 1 and not pictures else None
