"""pgvector: tables in a PostgreSQL database, with an HNSW graph if they are large."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kontrast.core.errors import UserError, needs
from kontrast.data.tables.uri import refuse_secrets
from kontrast.search.engine import Engine
from kontrast.search.where import Term, to_sql

_WIDEST = 2000  # dimensions that pgvector can index; wider vectors are searched exactly
_MOST = 1000  # the largest hnsw.ef_search
_HERE = "\0"  # placeholder of a constant until % has been doubled for psycopg


class Pgvector(Engine):
    """Search in PostgreSQL with the extension pgvector, beside the rest of your data.

    The extension is created if the database user has the permission.

    Args:
        uri: `postgresql://user@host:port/database` without a password, which comes from PGPASSWORD or ~/.pgpass as for
            every PostgreSQL client.
        table: Prefix of the tables' names. Default: "kontrast".

    Reference: https://github.com/pgvector/pgvector
    """

    def __init__(self, *, uri: str, table: str = "kontrast") -> None:
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,30}", table):
            raise UserError(f"pgvector: table='{table}': expected up to 31 small letters, digits and underscores.")
        refuse_secrets(uri, "set PGPASSWORD, or write it to ~/.pgpass.")
        self.uri, self.table = uri, table

    def create(self, tables: str, space: str, records: pa.Table, approximate: bool) -> Sequence[int]:
        """Creates a table; if approximate, with an HNSW graph of 16 links per row (Malkov, Yashunin 2016)."""
        name, width = self._name(tables, space), records.schema.field("vector").type.list_size
        graph = approximate and width <= _WIDEST
        with self._connected() as link:
            columns = ", ".join(f'"{f.name}" {_type(f.type)}' for f in records.schema)
            link.execute(f'CREATE TABLE "{name}" ({columns})')
            _copied(link, name, records)
            link.execute(f'CREATE INDEX ON "{name}" (id)')
            if graph:
                link.execute(f'CREATE INDEX ON "{name}" USING hnsw (vector vector_cosine_ops)')
            link.execute(f'ANALYZE "{name}"')
        return [*(40 * 2**i for i in range(5)), _MOST] if graph else []

    def nearest(
        self,
        tables: str,
        space: str,
        vector: np.ndarray,
        k: int,
        *,
        where: Term | None = None,
        reach: int | None = None,
    ) -> pa.Table:
        """Follows the graph until k records pass the filter; compares all records if it ends earlier."""
        name = self._name(tables, space)
        with self._connected() as link:
            names = [c for c in _columns(link, name) if c != "vector"]
            found = _asked(link, name, names, vector, k, where, reach)
            if reach is not None and len(found) < min(k, self._counted(link, name, where)):
                found = _asked(link, name, names, vector, k, where, None)
        return pa.table({c: pa.array([row[i] for row in found]) for i, c in enumerate([*names, "similarity"])})

    def change(self, tables: str, space: str, gone: Term | None, records: pa.Table | None) -> None:
        """Deletes and inserts in a single transaction."""
        name = self._name(tables, space)
        with self._connected() as link:
            if gone:
                link.execute(*_worded(f'DELETE FROM "{name}"', gone))
            if records is not None and len(records):
                _copied(link, name, records)

    def matching(self, tables: str, space: str, where: Term) -> list[str]:
        """Scans the table."""
        with self._connected() as link:
            return [row[0] for row in link.execute(*_worded(f'SELECT id FROM "{self._name(tables, space)}"', where))]

    def count(self, tables: str, space: str) -> int:
        """Current number of records."""
        with self._connected() as link:
            return self._counted(link, self._name(tables, space), None)

    def holds(self, tables: str, space: str) -> bool:
        """Whether the connection's schema has the table."""
        with self._connected() as link:
            return bool(_columns(link, self._name(tables, space)))

    def forget(self, tables: str) -> None:
        """Drops every table whose name starts with that of the set."""
        begins = self._name(tables, "")
        with self._connected() as link:
            found = link.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND starts_with(tablename, %s)",
                [begins],
            ).fetchall()
            for (name,) in found:
                link.execute(f'DROP TABLE "{name}"')

    def _name(self, tables: str, space: str) -> str:
        return f"{self.table}_{tables.replace('-', '_')}_{space}"

    def _counted(self, link: Any, name: str, where: Term | None) -> int:
        return link.execute(*_worded(f'SELECT count(*) FROM "{name}"', where)).fetchone()[0]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        """Opens a transaction in which vectors are NumPy arrays."""
        psycopg = needs("psycopg", "postgres")
        numbered = needs("pgvector.psycopg", "postgres")
        try:
            with psycopg.connect(self.uri, connect_timeout=10) as link:
                link.execute("SET LOCAL client_min_messages = error")
                link.execute("CREATE EXTENSION IF NOT EXISTS vector")
                numbered.register_vector(link)
                yield link
        except (psycopg.OperationalError, psycopg.ProgrammingError, psycopg.NotSupportedError) as error:
            raise UserError(
                f"pgvector: PostgreSQL says: {' '.join(str(error).split())[:300]}. Expected a running database "
                "with the extension 'vector' at --uri postgresql://user@host/database; the password comes from "
                "PGPASSWORD or ~/.pgpass."
            ) from error


def _columns(link: Any, name: str) -> list[str]:
    rows = link.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = %s "
        "ORDER BY ordinal_position",
        [name],
    )
    return [row[0] for row in rows]


def _asked(
    link: Any, name: str, names: list[str], vector: np.ndarray, k: int, where: Term | None, reach: int | None
) -> list[tuple[Any, ...]]:
    link.execute(f"SET LOCAL enable_indexscan = {'off' if reach is None else 'on'}")
    if reach is not None:
        link.execute(f"SET LOCAL hnsw.ef_search = {int(reach)}")
        link.execute("SET LOCAL hnsw.iterative_scan = strict_order")
    shown = ", ".join(f'"{c}"' for c in names)
    text, values = _worded(f'SELECT {shown}, 1 - (vector <=> %s) FROM "{name}"', where)
    asked = np.asarray(vector, np.float32)
    return link.execute(f"{text} ORDER BY vector <=> %s LIMIT %s", [asked, *values, asked, k]).fetchall()


def _worded(text: str, where: Term | None) -> tuple[str, list[Any]]:
    """Statement with its filter, and the filter's constants, passed as parameters and never as text."""
    if where is None:
        return text, []
    values: list[Any] = []

    def place(value: Any) -> str:
        values.append(value)
        return _HERE

    return text + f" WHERE {to_sql(where, place)}".replace("%", "%%").replace(_HERE, "%s"), values


def _copied(link: Any, name: str, records: pa.Table) -> None:
    """Inserts records by binary COPY."""
    names = ", ".join(f'"{c}"' for c in records.column_names)
    types = [_type(f.type).split("(")[0] for f in records.schema]
    vectors = records.column_names.index("vector")
    width = records.schema.field("vector").type.list_size
    with link.cursor().copy(f'COPY "{name}" ({names}) FROM STDIN (FORMAT BINARY)') as copy:
        copy.set_types(types)
        for batch in records.to_batches(max_chunksize=4096):
            rows = [column.to_pylist() if i != vectors else None for i, column in enumerate(batch.columns)]
            z = batch.column(vectors).flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
            rows[vectors] = list(z)
            for row in zip(*[r for r in rows if r is not None], strict=True):
                copy.write_row([_plain(cell, kind) for cell, kind in zip(row, types, strict=True)])


def _type(type_: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(type_):
        return f"vector({type_.list_size})"
    if pa.types.is_boolean(type_):
        return "bool"
    if pa.types.is_integer(type_):
        return "int8"
    if pa.types.is_floating(type_):
        return "float8"
    if pa.types.is_timestamp(type_):
        return "timestamptz" if type_.tz else "timestamp"
    return "date" if pa.types.is_date(type_) else "text"


def _plain(cell: Any, kind: str) -> Any:
    return str(cell) if kind == "text" and cell is not None and not isinstance(cell, str) else cell
