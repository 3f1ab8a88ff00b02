"""Embeddings of the instants of series on disk: one vector per instant, with the row that it is part of.

Axis letters: N rows, M instants of all rows, E width.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kontrast.core.atomic_files import atomic_write
from kontrast.core.errors import UserError
from kontrast.core.vector_files import read_whole, vector_column


@dataclass(frozen=True)
class InstantTable:
    """Vectors of the instants of N series, row after row, in the order of time.

    Attributes:
        field: The field that holds the series.
        ids: (N,) strings.
        row: (M,) int64, rising: the row of each instant.
        instant: (M,) int64: its place in the row, from 0.
        z: (M, E) float32, not normalised; NaN where nothing was known in the window of the instant.
    """

    field: str
    ids: np.ndarray
    row: np.ndarray
    instant: np.ndarray
    z: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def vectors(self, row: int) -> np.ndarray:
        """Vectors of one row, by its number: (instants, E)."""
        begin, end = np.searchsorted(self.row, [row, row + 1])
        return self.z[begin:end]

    def take(self, kept: np.ndarray) -> "InstantTable":
        """Some of the instants, by a mask (M,)."""
        return InstantTable(self.field, self.ids, self.row[kept], self.instant[kept], self.z[kept])

    def save(self, path: Path) -> None:
        """Writes one Parquet file with the columns id, row, instant and "embedding FIELD"."""
        columns = {
            "id": pa.array(self.ids.astype(str)[self.row]),
            "row": pa.array(self.row),
            "instant": pa.array(self.instant),
            f"embedding {self.field}": vector_column(self.z),
        }
        marked = pa.table(columns).replace_schema_metadata({"kontrast": "instants"})
        with atomic_write(path) as part:
            pq.write_table(marked, part)

    @staticmethod
    def load(path: Path) -> "InstantTable":
        """Reads what `save` wrote; rows without an instant have no id there.

        Raises:
            UserError: No such file, or a damaged or foreign one.
        """
        if not path.is_file():
            raise UserError(f"no embeddings of instants at {path}; expected a file written by kontrast instants.")
        table = read_whole(path)
        named = [name for name in table.column_names if name.startswith("embedding ")]
        if (table.schema.metadata or {}).get(b"kontrast") != b"instants" or len(named) != 1:
            raise UserError(
                f"{path} is a Parquet file without embeddings of instants; expected one written by kontrast instants."
            )
        block = table[named[0]].combine_chunks()
        z = block.flatten().to_numpy(zero_copy_only=False).reshape(-1, block.type.list_size)
        row, instant = (table[name].to_numpy().astype(np.int64) for name in ("row", "instant"))
        ids = np.full(int(row.max(initial=-1)) + 1, "", dtype=object)
        ids[row] = table["id"].to_pylist()
        return InstantTable(named[0].removeprefix("embedding "), ids.astype(str), row, instant, z)
