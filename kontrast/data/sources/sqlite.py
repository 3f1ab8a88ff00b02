"""A query to a SQLite database, through ADBC."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

from kontrast.core.errors import UserError, needs
from kontrast.data.sources import adbc_query
from kontrast.data.sources.python_values import frame_of_table
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables import uri
from kontrast.data.tables.arrow_cache import fetched
from kontrast.data.tables.frame import Frame

# SQLite's columns have no fixed type: ADBC takes it from the first batch, so that is large.
_ROWS = 65_536


class Sqlite(SourceReader):
    """`sqlite:FILE#QUERY`, a query or a table's name: `sqlite:shop.db#SELECT name, price FROM products ORDER BY id`.

    The file is opened to read only. Relative paths in cells are relative to its folder.
    """

    order = 10
    reads = "a query (sqlite:FILE#QUERY)"

    def claims(self, data: object) -> bool:
        """Claims addresses that begin with sqlite:."""
        return isinstance(data, str) and data.startswith("sqlite:")

    def open(self, data: object, cache: Path | None) -> Frame:
        """Runs the query anew and writes its rows into a memory-mapped table."""
        assert isinstance(data, str)
        where, wanted = uri.split_query(data, "sqlite:shop.db#SELECT * FROM products")
        path = Path(where.removeprefix("sqlite:")).expanduser()
        if not path.is_file():
            raise UserError(f"{path} does not exist (looked from {Path.cwd()}). Check the path of the database.")
        driver = needs("adbc_driver_sqlite.dbapi", "sql")

        def read() -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
            uri = f"file:{quote(str(path.resolve()))}?mode=ro"
            options = {"adbc.sqlite.query.batch_rows": str(_ROWS)}
            return adbc_query.answered(driver, uri, wanted, who=path.name, options=options)

        return frame_of_table(fetched(data, cache, read), path.name, path.resolve().parent)
