"""An Arrow table in memory."""

from pathlib import Path

import pyarrow as pa

from kontrast.data.sources.python_values import frame_of_table
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame


class ArrowTable(SourceReader):
    """A pyarrow Table or RecordBatch."""

    order = 40
    reads = "a pyarrow Table"

    def claims(self, data: object) -> bool:
        """Claims Arrow tables."""
        return isinstance(data, pa.Table | pa.RecordBatch)

    def open(self, data: object, cache: Path | None) -> Frame:
        """Takes the columns without a copy."""
        assert isinstance(data, pa.Table | pa.RecordBatch)
        table = pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
        return frame_of_table(table, "table", None)
