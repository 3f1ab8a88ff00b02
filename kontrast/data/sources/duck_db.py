"""A query to DuckDB: to a database file, or to tables that lie in files."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from kontrast.core.errors import UserError, needs
from kontrast.data.sources.adbc_query import one_line
from kontrast.data.sources.python_values import frame_of_table
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables import uri
from kontrast.data.tables.arrow_cache import fetched
from kontrast.data.tables.frame import Frame

_ROWS = 65_536
_EXAMPLE = "duckdb:shop.duckdb#SELECT * FROM products"


class DuckDB(SourceReader):
    """`duckdb:FILE#QUERY`: a query to a DuckDB database, or the name of a table.

    Without FILE, a query to other files: `duckdb:#SELECT * FROM 'a/*.parquet' JOIN 'names.csv' USING (sku)`. The file
    is opened read-only, the query must be one SELECT, and no extension is downloaded.
    """

    order = 10
    reads = "a query (duckdb:FILE#QUERY)"

    def claims(self, data: object) -> bool:
        """Claims addresses that begin with duckdb:."""
        return isinstance(data, str) and data.startswith("duckdb:")

    def open(self, data: object, cache: Path | None) -> Frame:
        """Runs the query anew and writes its rows into a memory-mapped table."""
        assert isinstance(data, str)
        where, query = uri.split_query(data, _EXAMPLE)
        file = where.removeprefix("duckdb:")
        path = Path(file).expanduser() if file else None
        if path is not None and not path.is_file():
            raise UserError(f"{path} does not exist (looked from {Path.cwd()}). Check the path of the database.")
        duckdb = needs("duckdb", "sql")
        name = path.name if path else "query"
        settings = {"autoinstall_known_extensions": "false", "preserve_insertion_order": "true"}

        def read() -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
            try:
                connection = duckdb.connect(str(path or ":memory:"), read_only=path is not None, config=settings)
                statements = connection.extract_statements(query)
                if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                    raise UserError(
                        f"{name}: expected one SELECT, such as {_EXAMPLE}; found {uri.without_secrets(query)}"
                    )
                # The reader keeps its connection alive.
                reader = connection.sql(query).to_arrow_reader(_ROWS)
            except duckdb.Error as error:
                raise UserError(f"{name}: {one_line(error)}. The query: {uri.without_secrets(query)}") from error
            return reader.schema, reader

        folder = path.resolve().parent if path else Path.cwd()
        return frame_of_table(fetched(data, cache, read), name, folder)
