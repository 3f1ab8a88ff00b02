"""Arrow and Feather files, memory-mapped as they are."""

import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from kontrast.core.errors import UserError
from kontrast.data.sources.python_values import frame_of_table
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.arrow_cache import spilled
from kontrast.data.tables.frame import Frame


class Arrow(SourceReader):
    """An Arrow or Feather file (.arrow, .feather, .ipc)."""

    order = 30
    reads = "Arrow or Feather"

    def claims(self, data: object) -> bool:
        """Claims .arrow, .feather and .ipc files."""
        return isinstance(data, Path) and data.suffix.lower() in {".arrow", ".feather", ".ipc"} and data.is_file()

    def open(self, data: object, cache: Path | None) -> Frame:
        """Maps the file into memory; rewrites streams and compressed files (Feather's default) once first."""
        assert isinstance(data, Path)

        def read() -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
            return _batches(data)

        return frame_of_table(spilled([data], cache, read), data.name, data.parent)


def _batches(path: Path) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    source = pa.memory_map(os.fspath(path))
    try:
        if source.read(6) == b"ARROW1":
            file = pa.ipc.open_file(source)
            return file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
        source.seek(0)
        stream = pa.ipc.open_stream(source)
        return stream.schema, stream
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is no readable Arrow file: {error}.") from error
