"""FAISS: in-memory search; vectors in a FAISS file, other columns in a Parquet file."""

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kontrast.core.atomic_files import atomic_write
from kontrast.core.errors import UserError, needs
from kontrast.search.engine import Engine, inverted, vectors
from kontrast.search.where import Term, to_arrow


class Faiss(Engine):
    """In-memory search by Meta's library, the fastest engine if all vectors fit into memory.

    A table is SPACE.parquet, which names its file of vectors: exact, or inverted lists if large. Nothing is pickled.
    Every change rewrites both files.

    Args:
        folder: Folder of the index.
        uri: Folder for the files. None: the index's own folder.

    Reference: Johnson et al. 2017, arXiv:1702.08734.
    """

    def __init__(self, *, folder: Path, uri: str | None = None) -> None:
        if uri and "://" in uri:
            raise UserError(f"faiss: uri='{uri}': expected a folder; for object stores take the engine lancedb.")
        self.root = Path(uri) if uri else folder
        self._opened: dict[Path, tuple[Any, pa.Table]] = {}

    def create(self, tables: str, space: str, records: pa.Table, approximate: bool) -> Sequence[int]:
        """Creates an exact table, or inverted lists (IVF) in the number of the root of the records."""
        faiss = needs("faiss", "search")
        z_ND = vectors(records)
        lists, reaches = inverted(len(z_ND)) if approximate else (0, [])
        kind = f"IVF{lists},Flat" if lists else "IDMap2,Flat"
        made = faiss.index_factory(z_ND.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        made.train(z_ND)
        numbers = np.arange(len(z_ND))
        made.add_with_ids(z_ND, numbers)
        self._write(tables, space, made, records.drop_columns(["vector"]).append_column("number", pa.array(numbers)))
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
        """Evaluates the filter first, then searches among the record numbers that pass."""
        index, records = self._read(tables, space)
        if index.d != len(vector):
            raise UserError(f"the file of vectors of {self._path(tables, space)} is of another index; make it again.")
        numbers = records["number"].to_numpy()
        kept = numbers if where is None else filtered(records, where)["number"].to_numpy()
        k = min(k, len(kept))
        near, found = _look(index, vector, k, kept if where is not None else None, reach)
        if reach is not None and len(found) < k:  # the searched lists held too few
            near, found = _look(index, vector, k, kept if where is not None else None, None)
        at = np.searchsorted(numbers, found)
        if (at >= len(numbers)).any():
            raise UserError(
                f"{self._path(tables, space)} does not belong to its file of vectors; make the index again."
            )
        rows = records.take(pa.array(at)).drop_columns(["number"])
        return rows.append_column("similarity", pa.array(np.clip(near, -1, 1).astype(np.float64)))

    def change(self, tables: str, space: str, gone: Term | None, records: pa.Table | None) -> None:
        """Rewrites both files; record numbers are ascending and never reused."""
        faiss = needs("faiss", "search")
        index, old = self._read(tables, space)
        index = faiss.clone_index(index)
        first = 1 + int(old["number"].to_numpy().max(initial=-1))
        if gone:
            index.remove_ids(filtered(old, gone)["number"].to_numpy())
            old = _left(old, gone)
        if records is not None and len(records):
            numbers = np.arange(first, first + len(records))
            index.add_with_ids(vectors(records), numbers)
            new = records.drop_columns(["vector"]).append_column("number", pa.array(numbers))
            old = pa.concat_tables([old, new.select(old.column_names).cast(old.schema.remove_metadata())])
        self._write(tables, space, index, old)

    def matching(self, tables: str, space: str, where: Term) -> list[str]:
        """Filters the records in memory."""
        return filtered(self._read(tables, space)[1], where)["id"].to_pylist()

    def count(self, tables: str, space: str) -> int:
        """Number of records in the Parquet file."""
        return len(self._read(tables, space)[1])

    def holds(self, tables: str, space: str) -> bool:
        """Whether both files of the table exist."""
        path = self._path(tables, space)
        return path.is_file() and path.with_name(_file_of(path)).is_file()

    def forget(self, tables: str) -> None:
        """Removes the folder of the set."""
        for path in sorted(Path(self.root, tables).glob("*")):
            path.unlink()
            self._opened.pop(path, None)
        if Path(self.root, tables).is_dir():
            Path(self.root, tables).rmdir()

    def _path(self, tables: str, space: str) -> Path:
        return Path(self.root, tables, f"{space}.parquet")

    def _read(self, tables: str, space: str) -> tuple[Any, pa.Table]:
        path = self._path(tables, space)
        if path not in self._opened:
            faiss = needs("faiss", "search")
            try:
                records = pq.ParquetFile(path).read()
                records.validate(full=True)
                index = faiss.read_index(str(path.with_name(_file_of(path))))
            except (RuntimeError, OSError, pa.ArrowException) as error:
                raise UserError(f"{path} or its file of vectors is damaged ({error}); make the index again.") from error
            if index.ntotal != len(records) or {"id", "field", "label", "number"} - set(records.column_names):
                raise UserError(f"{path} does not belong to its file of vectors; make the index again.")
            self._opened[path] = index, records
        return self._opened[path]

    def _write(self, tables: str, space: str, index: Any, records: pa.Table) -> None:
        """Writes vectors under a new name, atomically replaces the Parquet file, removes old vectors."""
        path = self._path(tables, space)
        old = path.with_name(_file_of(path)) if path.is_file() else None
        new = path.with_name(f"{space}-{uuid.uuid4().hex[:8]}.faiss")
        with atomic_write(new) as aside:
            needs("faiss", "search").write_index(index, str(aside))
        with atomic_write(path) as aside:
            pq.write_table(records.replace_schema_metadata({"faiss": json.dumps(new.name)}), aside)
        if old is not None:
            old.unlink(missing_ok=True)
        self._opened[path] = index, records


def _file_of(path: Path) -> str:
    """Name of the vector file from the Parquet file, without folders so that it stays beside it."""
    try:
        said = json.loads((pq.read_schema(path).metadata or {}).get(b"faiss", b'""'))
    except (OSError, ValueError, RecursionError) as error:  # Arrow's errors derive from ValueError and OSError
        words = (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
        raise UserError(f"{path} is damaged ({words}); make the index again.") from error
    return Path(said).name if isinstance(said, str) and "\0" not in said else ""


def filtered(records: pa.Table, where: Term) -> pa.Table:
    """Records that match a filter."""
    try:
        return records.filter(to_arrow(where))
    except pa.ArrowException as error:
        raise UserError(f"the filter cannot be computed: {str(error).splitlines()[0].rstrip('.')}.") from error


def _left(records: pa.Table, gone: Term) -> pa.Table:
    """Records that do not match a filter, including those for which it is undefined."""
    leaving = filtered(records, gone)["number"].to_numpy()
    return records.filter(pa.array(~np.isin(records["number"].to_numpy(), leaving)))


def _look(
    index: Any, vector: np.ndarray, k: int, kept: np.ndarray | None, reach: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Similarities and numbers of up to k records, optionally among `kept`, in `reach` lists or all."""
    faiss = needs("faiss", "search")
    if k == 0:
        return np.zeros(0), np.zeros(0, np.int64)
    lists = faiss.try_extract_index_ivf(index)
    options: dict[str, Any] = {} if kept is None else {"sel": faiss.IDSelectorBatch(kept)}
    if lists is not None:
        options["nprobe"] = reach or lists.nlist
    parameters = faiss.SearchParametersIVF(**options) if lists is not None else faiss.SearchParameters(**options)
    near, found = index.search(np.asarray(vector, np.float32)[None], k, params=parameters)
    return near[0][found[0] >= 0], found[0][found[0] >= 0]
