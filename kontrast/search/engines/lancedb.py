"""LanceDB: tables in a folder or an object store, with inverted lists if they are large."""

import contextlib
import datetime
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kontrast.core.errors import UserError, needs
from kontrast.search.engine import Engine, inverted
from kontrast.search.where import Term, to_sql


class Lancedb(Engine):
    """Embedded vector database without a server, which keeps its tables as files on disk or in an object store.

    Rows added later are searched at once, and exactly.

    Args:
        folder: Folder of the index.
        uri: Place of the tables: a folder, or `s3://bucket/folder` (also gs://, az://), whose keys and region come from
            the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL ...). None: the
            index's own folder.

    Reference: https://lancedb.com
    """

    def __init__(self, *, folder: Path, uri: str | None = None) -> None:
        self.root = uri.rstrip("/") if uri else str(folder)
        self.remote = "://" in self.root

    def create(self, tables: str, space: str, records: pa.Table, approximate: bool) -> Sequence[int]:
        """Creates a table; if approximate, with inverted lists (IVF) in the number of the root of the records."""
        with self._said(f"write to {self.root}"):
            table = self._database(tables).create_table(space, data=records)
        if not approximate:
            return []
        from lancedb.index import IvfFlat

        lists, reaches = inverted(len(records))
        table.create_index("vector", config=IvfFlat(distance_type="cosine", num_partitions=lists))
        return reaches

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
        """Applies the filter first, then searches the remaining records."""
        table = self._table(tables, space)
        query = table.search(vector, vector_column_name="vector").distance_type("cosine").limit(k)
        # 0: continues through all lists while fewer than k records pass the filter
        query = query.bypass_vector_index() if reach is None else query.minimum_nprobes(reach).maximum_nprobes(0)
        query = query.where(to_sql(where, _literal)) if where else query
        names = [name for name in table.schema.names if name != "vector"]
        with self._said(f"read from {self.root}"):
            found = query.select([*names, "_distance"]).to_arrow()
        near = np.clip(1 - found["_distance"].to_numpy(), -1, 1)
        return found.drop_columns(["_distance"]).append_column("similarity", pa.array(near))

    def change(self, tables: str, space: str, gone: Term | None, records: pa.Table | None) -> None:
        """Writes two versions of the table and restores the previous one if the second fails."""
        table = self._table(tables, space)
        before = table.version
        try:
            if gone:
                table.delete(to_sql(gone, _literal))
            if records is not None and len(records):
                table.add(records)
        except BaseException:
            table.restore(before)
            raise

    def matching(self, tables: str, space: str, where: Term) -> list[str]:
        """Scans the table."""
        found = self._table(tables, space).search().where(to_sql(where, _literal)).select(["id"])
        with self._said(f"read from {self.root}"):
            return found.limit(self.count(tables, space)).to_arrow()["id"].to_pylist()

    def count(self, tables: str, space: str) -> int:
        """Number of records in the newest version."""
        table = self._table(tables, space)
        with self._said(f"read from {self.root}"):
            return table.count_rows()

    def holds(self, tables: str, space: str) -> bool:
        """Whether the folder or the store has the table."""
        if not self.remote and not Path(self.root, tables).is_dir():
            return False  # connecting would create the folder
        with self._said(f"read from {self.root}"):
            return space in self._database(tables).list_tables().tables

    def forget(self, tables: str) -> None:
        """Drops the tables, and on a disk removes their folder."""
        if self.remote:
            with self._said(f"remove what lies at {self.root}"):
                self._database(tables).drop_all_tables()
        else:
            shutil.rmtree(Path(self.root, tables), ignore_errors=True)

    def _database(self, tables: str) -> Any:
        os.environ.setdefault("LANCEDB_LOG", "error")  # read when first imported; else every query may warn on stderr
        return needs("lancedb", "search").connect(f"{self.root}/{tables}")

    def _table(self, tables: str, space: str) -> Any:
        with self._said(f"read from {self.root}"):
            return self._database(tables).open_table(space)

    @contextlib.contextmanager
    def _said(self, what: str) -> Iterator[None]:
        """Turns errors of an object store or damaged tables into UserError; passes disk errors on."""
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:
            refused_here = not self.remote and not what.startswith("read")  # such as a full disk
            if refused_here or isinstance(error, UserError) or getattr(error, "errno", None):
                raise
            why = str(error).splitlines()[0].split(", /")[0][:300]  # without the location in its source code
            if not self.remote:
                raise UserError(
                    f"lancedb: cannot {what}: {why}. Its tables are damaged; make the index again."
                ) from error
            raise UserError(
                f"lancedb: cannot {what}: {why}. Expected a bucket that is there and credentials for it in the "
                "environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for a store that is not "
                "Amazon's, AWS_ENDPOINT_URL."
            ) from error


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime.datetime):
        return f"timestamp '{value.isoformat(sep=' ')}'"
    return str(value)  # Python writes True, False and numbers as SQL does
