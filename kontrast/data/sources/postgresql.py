"""A query to a PostgreSQL server, through ADBC."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from kontrast.core.errors import needs
from kontrast.data.sources import adbc_query
from kontrast.data.sources.python_values import frame_of_table
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables import uri
from kontrast.data.tables.arrow_cache import fetched
from kontrast.data.tables.frame import Frame

_NUMBERS = {"numeric"}  # arrive as text, since they may have any number of digits


class Postgresql(SourceReader):
    """`postgresql://USER@HOST/DATABASE#QUERY`, a query or a table's name.

    The password comes from the variable PGPASSWORD or the file ~/.pgpass, never from the address, which is written
    into the run folder. The query runs in a transaction that may only read. Columns of pgvector are lists of numbers.
    """

    order = 10
    reads = "a query (postgresql://USER@HOST/DATABASE#QUERY)"

    def claims(self, data: object) -> bool:
        """Claims addresses that begin with postgresql:// or postgres://."""
        return isinstance(data, str) and data.startswith(("postgresql://", "postgres://"))

    def open(self, data: object, cache: Path | None) -> Frame:
        """Runs the query anew and writes its rows into a memory-mapped table.

        A resumed run needs the same order of rows: sort them with ORDER BY.
        """
        assert isinstance(data, str)
        uri.refuse_secrets(data, "set the variable PGPASSWORD, or write it into ~/.pgpass.")
        where, wanted = uri.split_query(data, "postgresql://me@host/shop#SELECT * FROM products ORDER BY id")
        driver = needs("adbc_driver_postgresql.dbapi", "sql")
        name = uri.short_name(data)

        def read() -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
            # Without the second, a scan may begin in the middle of a table.
            first = ("SET TRANSACTION READ ONLY", "SET synchronize_seqscans = off")
            schema, batches = adbc_query.answered(
                driver, where, wanted, who=uri.without_secrets(where), first=first, options={}
            )
            known = _schema(schema)
            return known, (pa.record_batch(list(map(_known, batch.columns)), schema=known) for batch in batches)

        return frame_of_table(fetched(data, cache, read), name, Path.cwd())


def _schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema({field.name: _known(pa.array([], field.type)).type for field in schema})


def _known(column: pa.Array) -> pa.Array:
    """Types that Arrow does not have come as text or bytes with a name."""
    if not isinstance(column.type, pa.OpaqueType):
        return column
    if column.type.type_name in _NUMBERS:
        return column.storage.cast(pa.float64())
    if column.type.type_name == "vector":
        return _vectors(column.storage)
    return column.storage


def _vectors(column: pa.Array) -> pa.Array:
    """pgvector's bytes: the width and two empty bytes, then float32, all big-endian."""
    cells = [
        None if cell is None else np.frombuffer(cell, ">f4", offset=4).astype("<f4") for cell in column.to_pylist()
    ]
    return pa.array(cells, pa.list_(pa.float32()))
