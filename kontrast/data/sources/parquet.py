"""Parquet: a file, or a folder of them."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kontrast.core.errors import UserError
from kontrast.data.schema import split
from kontrast.data.sources import split_files
from kontrast.data.sources.python_values import frame_of_table
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.arrow_cache import spilled
from kontrast.data.tables.frame import Frame

_BUFFER = 1_000_000  # bytes read ahead in each column


class Parquet(SourceReader):
    """A Parquet file, or a folder of Parquet files of one schema; files named train-*, test-* ... give the split."""

    order = 30
    reads = "Parquet"

    def claims(self, data: object) -> bool:
        """Claims Parquet files, and folders that hold such files at any depth."""
        return isinstance(data, Path) and bool(_files(data))

    def open(self, data: object, cache: Path | None) -> Frame:
        """Writes a memory-mapped table; images of Hugging Face (bytes and path) stay encoded."""
        assert isinstance(data, Path)
        groups: dict[str, list[Path]] = {}
        for file in _files(data):
            groups.setdefault(_split(file, data), []).append(file)
        if not groups:
            raise split_files.gone(data)
        if len(groups) == 1:
            return self._frame(next(iter(groups.values())), data, cache)
        frames = {name or "train": self._frame(files, data, cache) for name, files in groups.items()}
        return split.joined(frames, data.name)

    def _frame(self, files: list[Path], data: Path, cache: Path | None) -> Frame:
        def read() -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
            opened = [(file, _opened(file)) for file in files]
            schema = opened[0][1].schema_arrow
            for file, one in opened[1:]:
                if not one.schema_arrow.equals(schema):
                    raise UserError(
                        f"{file} has other columns than {files[0].name}; expected one schema in all of {data}."
                    )
            return schema, (batch for _, one in opened for batch in one.iter_batches(_rows(one)))

        table = spilled(files, cache, read)
        return frame_of_table(table, data.name, data if data.is_dir() else data.parent)


def _files(data: Path) -> list[Path]:
    if data.is_dir():
        found = [*data.glob("*.parquet"), *data.glob("*/*.parquet")]
        return sorted(p for p in found if not p.name.startswith("."))
    return [data] if data.suffix.lower() in {".parquet", ".pq"} and data.is_file() else []


def _split(file: Path, data: Path) -> str:
    """By the file's name up to the first mark (train-00000-of-00002.parquet), else by its first folder."""
    if not data.is_dir():
        return ""
    first = file.relative_to(data).parts[0]
    return split.part(file.stem.split("-")[0]) or split.part(first) or ""


def _rows(file: pq.ParquetFile) -> int:
    """Rows of a batch of some 8 MB, be they numbers or pictures."""
    size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
    return max(1, min(65536, 8_000_000 * file.metadata.num_rows // max(1, size)))


def _opened(file: Path) -> pq.ParquetFile:
    try:
        # By itself it reads all row groups ahead, as long as they are not asked for: memory would grow with the file.
        return pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file} is no readable Parquet file: {str(error).rstrip('.')}.") from error
