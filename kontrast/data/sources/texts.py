"""Text files in a folder, one row a file."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from kontrast.core import available_memory
from kontrast.core.errors import UserError
from kontrast.data.schema import file_tree
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.arrow_cache import spilled
from kontrast.data.tables.frame import Frame

SUFFIXES = {".txt", ".text", ".md"}
_FILES = 256  # files a batch


class Texts(SourceReader):
    """A folder of text files (.txt, .text, .md) in UTF-8, with or without subfolders for classes and for train and
    test.

    Columns: `text`; `filename`, the path relative to the folder, which is also the row's id; `split` and `label` as
    for a folder of images.
    """

    order = 75
    reads = "a folder of text files"

    def claims(self, data: object) -> bool:
        """Claims folders of several text files that make up at least half of all files."""
        if not isinstance(data, Path) or not data.is_dir():
            return False
        texts = sum(1 for _ in file_tree.walk(data, SUFFIXES))
        return texts > 1 and 2 * texts >= sum(1 for _ in file_tree.walk(data, None))

    def open(self, data: object, cache: Path | None) -> Frame:
        """Writes the texts, sorted by path, into one memory-mapped table."""
        assert isinstance(data, Path)
        paths = sorted(file_tree.walk(data, SUFFIXES))
        for path in paths:
            if not file_tree.inside(data, path):
                raise UserError(
                    f"{data / path} is a link that leads out of {data}. Remove it, or copy what it points to: "
                    f"cp -rL {data} COPY"
                )
        schema = pa.schema({"text": pa.string(), "filename": pa.string()})

        def read() -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
            return schema, _batches(data, paths, schema)

        table = spilled([data / path for path in paths], cache, read)
        columns = {name: table[name] for name in table.column_names}
        return Frame({**columns, **file_tree.columns_of_folders(paths)}, data.name or str(data), data)


def _batches(folder: Path, paths: list[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(paths), _FILES):
        some = paths[start : start + _FILES]
        names = [file_tree.encode_name(path) for path in some]
        yield pa.record_batch([[_text(folder / path) for path in some], names], schema=schema)


def _text(path: Path) -> str:
    how = f"iconv -f latin1 -t utf8 {path.name} -o {path.name}"
    return available_memory.text(path, f"save it as UTF-8, for example: {how}", times=2)
