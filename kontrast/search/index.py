"""An Index: a bank's embeddings as a LanceDB folder, asked for the rows nearest to a vector, with or without a filter.

The folder holds index.json, which says what there is and names the folder of tables that counts. A rebuild writes new
tables beside the old, then replaces index.json in one step, then deletes the old.
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from kontrast.core.bank import Bank
from kontrast.core.errors import UserError, did_you_mean, needs
from kontrast.core.whole import whole
from kontrast.search.where import literal, translate

EXACT_BELOW = 50_000  # records; below, looking at all of them takes some 40 ms
OWN = ("id", "field", "label")
RECALL, ASKED, NEAR = 0.99, 100, 10  # what an approximate index must find: of the 10 nearest of 100 stored vectors


@dataclass(frozen=True)
class Hit:
    """A row found. similarity: cosine, in [-1, 1]. label: "" where unknown. metadata: by the columns' own names."""

    id: str
    field: str
    similarity: float
    label: str
    metadata: Mapping[str, Any]


class Index:
    """An index opened for questions; from `build` or `Index.open`.

    facts: index.json as it was read: the tables with their fields, width, records, and, where one is approximate, its
    recall when built.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder, self.facts = folder, facts
        database = _lancedb().connect(str(folder / facts["tables"]))
        self._tables = {space["table"]: database.open_table(space["table"]) for space in facts["spaces"]}

    @staticmethod
    def open(folder: Path) -> "Index":
        """The index in that folder, in a new process or the same."""
        try:
            facts = json.loads((folder / "index.json").read_text(encoding="utf8"))
        except (OSError, json.JSONDecodeError):
            facts = None
        if not isinstance(facts, dict) or facts.get("kontrast") != "index":
            raise UserError(f"{folder} holds no index; make one with `kontrast index RUN DATA`.")
        if not (folder / facts["tables"]).is_dir():
            raise UserError(f"the index in {folder} has lost its tables; make it again with `kontrast index RUN DATA`.")
        return Index(folder, facts)

    @property
    def fields(self) -> list[str]:
        """The fields that can be searched."""
        return [field for space in self.facts["spaces"] for field in space["fields"]]

    @property
    def columns(self) -> dict[str, str]:
        """What a filter may name, and its type."""
        return {name: column["type"] for name, column in self.facts["columns"].items()}

    def search(
        self,
        vector: np.ndarray,
        k: int = 5,
        *,
        field: str | None = None,
        where: str | None = None,
        exclude: Iterable[str] = (),
    ) -> list[Hit]:
        """The k nearest by cosine, nearest first; fewer where fewer pass the filter.

        vector: (D,), of any length but zero. field: search there only; None: all fields, if they share a space.
        exclude: ids to leave out.
        where: SQL on id, field, label and metadata: `label = 'animals' AND year > 2000`. Strings in single quotes; a
        column's name with spaces or dots in double quotes; a metadata column named like one of those three as "meta
        label".
        """
        if k < 1:
            raise UserError(f"search got k={k}; expected 1 or more.")
        space = self._space(field)
        vector = np.asarray(vector, np.float32).reshape(-1)
        if len(vector) != space["width"] or not np.isfinite(vector).all() or not vector.any():
            raise UserError(
                f"search got a vector of {len(vector)} numbers; expected {space['width']} finite ones, not all zero, "
                f"from the encoder that filled {self.folder}."
            )
        names = {name: column["table"] for name, column in self.facts["columns"].items()}
        conditions = [f"({translate(where, names)})"] if where and where.strip() else []
        if field is not None and len(space["fields"]) > 1:
            conditions.append(f"field = {literal(field)}")
        if gone := [literal(str(one)) for one in exclude]:
            conditions.append(f"id NOT IN ({', '.join(gone)})")
        query = _query(self._tables[space["table"]], vector, k, space["probes"])
        query = query.select([*names.values(), "_distance"])
        try:
            found = (query.where(" AND ".join(conditions)) if conditions else query).to_arrow()
        except (ValueError, RuntimeError) as error:
            if not where:
                raise
            listed = ", ".join(f"{name} ({kind})" for name, kind in self.columns.items())
            raise UserError(
                f"the filter {where!r} cannot be applied: {_short(error)}. Columns: {listed}. "
                "Strings stand in single quotes, names with spaces in double quotes."
            ) from error
        metadata = {c["column"]: c["table"] for name, c in self.facts["columns"].items() if name not in OWN}
        hits = [_hit(row, metadata) for row in found.to_pylist()]
        return sorted(hits, key=lambda hit: (-hit.similarity, hit.id, hit.field))

    def _space(self, field: str | None) -> Mapping[str, Any]:
        spaces = self.facts["spaces"]
        if field is None:
            if len(spaces) != 1:
                raise UserError(
                    f"the fields of this index do not share one space; say which to search: {', '.join(self.fields)}."
                )
            return spaces[0]
        for space in spaces:
            if field in space["fields"]:
                return space
        raise UserError(f"this index has no field '{field}'{did_you_mean(field, self.fields)}")


def build(bank: Bank, folder: Path, *, exact_below: int = EXACT_BELOW) -> Index:
    """Index every (row, field) of the bank that is there; replaces the index in that folder, if any, in one step.

    Fields of a shared space lie in one table, others in one each. From `exact_below` records on a table gets an
    approximate index (inverted lists), searched as widely as finds 99 % of the 10 nearest neighbours of 100 of its
    records.
    """
    if not any(bank.has(field).any() for field in bank.z):
        raise UserError("the bank has no embedding to index; expected rows with at least one field.")
    lancedb = _lancedb()
    folder.mkdir(parents=True, exist_ok=True)
    tables = f"tables-{uuid.uuid4().hex[:12]}"
    groups = [list(bank.z)] if bank.shared else [[field] for field in bank.z]
    columns, metadata = _columns(bank)
    try:
        database = lancedb.connect(str(folder / tables))
        spaces = []
        for fields in groups:
            records = pa.concat_tables([_records(bank, field, metadata) for field in fields])
            if len(records):
                table = database.create_table(f"space{len(spaces)}", data=records)
                space = {"table": f"space{len(spaces)}", "fields": fields, "width": bank.z[fields[0]].shape[1]}
                spaces.append(space | {"records": len(records)} | _approximate(table, records, exact_below))
        facts = {"kontrast": "index", "tables": tables, "shared": bank.shared, "spaces": spaces, "columns": columns}
        with whole(folder / "index.json") as aside:
            aside.write_text(json.dumps(facts, indent=2, ensure_ascii=False), encoding="utf8")
    except BaseException:
        shutil.rmtree(folder / tables, ignore_errors=True)
        raise
    for old in folder.glob("tables-*"):
        if old.name != tables:
            shutil.rmtree(old)
    return Index(folder, facts)


def _lancedb() -> ModuleType:
    os.environ.setdefault("LANCEDB_LOG", "error")  # read when first imported; else every query may warn on stderr
    return needs("lancedb", "search")


def _columns(bank: Bank) -> tuple[dict[str, dict[str, str]], pa.Table]:
    """What a filter may name -> the table's column, its type and the user's column; and the metadata as stored.

    The tables' names are made up, for LanceDB allows no dot in one.
    """
    columns = {name: {"table": name, "type": "string", "column": name} for name in OWN}
    plain = {}
    for i, name in enumerate(bank.metadata.column_names):
        column = bank.metadata[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_null(column.type):
            column = column.cast(pa.string())
        plain[f"c{i}"] = column
        said = name
        while said in columns:
            said = f"meta {said}"
        columns[said] = {"table": f"c{i}", "type": str(column.type), "column": name}
    return columns, pa.table(plain)


def _records(bank: Bank, field: str, metadata: pa.Table) -> pa.Table:
    """The rows that have the field, as a table ready to be stored."""
    rows = np.flatnonzero(bank.has(field))
    z = np.ascontiguousarray(bank.z[field][rows], np.float32)
    labels = np.full(len(rows), "") if bank.labels is None else bank.labels[rows]
    columns = {
        "id": pa.array(bank.ids[rows].astype(str), pa.string()),
        "field": pa.array([field] * len(rows), pa.string()),
        "label": pa.array(labels.astype(str), pa.string()),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(z.ravel()), z.shape[1]),
    }
    taken = metadata.take(pa.array(rows)) if metadata.num_columns else metadata
    return pa.table(columns | {name: taken[name] for name in taken.column_names})


def _approximate(table: Any, records: pa.Table, exact_below: int) -> dict[str, Any]:
    """Nothing for a small table; else inverted lists, and how many of them must be looked into for that recall."""
    n = len(records)
    if n < exact_below:
        return {"exact": True, "probes": None, "recall": None}
    from lancedb.index import IvfFlat

    lists = max(1, round(n**0.5))
    asked = records["vector"].combine_chunks().take(pa.array(np.linspace(0, n - 1, min(n, ASKED)).astype(int)))
    asked = [np.array(vector, np.float32) for vector in asked.to_pylist()]
    truth = [_rowids(table, vector, None) for vector in asked]
    table.create_index("vector", config=IvfFlat(distance_type="cosine", num_partitions=lists))
    probes, recall = min(8, lists), 0.0
    while True:
        found = [len(_rowids(table, v, probes) & true) / len(true) for v, true in zip(asked, truth, strict=True)]
        recall = float(np.mean(found))
        if recall >= RECALL or probes == lists:
            return {"exact": False, "probes": probes, "recall": recall}
        probes = min(2 * probes, lists)


def _query(table: Any, vector: np.ndarray, k: int, probes: int | None) -> Any:
    query = table.search(vector, vector_column_name="vector").distance_type("cosine").limit(k)
    if probes is None:
        return query.bypass_vector_index()
    # 0: on through all lists while a filter leaves fewer than k
    return query.minimum_nprobes(probes).maximum_nprobes(0)


def _rowids(table: Any, vector: np.ndarray, probes: int | None) -> set[int]:
    found = _query(table, vector, NEAR, probes).select(["_distance"]).with_row_id(True).to_arrow()
    return set(found["_rowid"].to_pylist())


def _hit(row: Mapping[str, Any], metadata: Mapping[str, str]) -> Hit:
    similarity = min(1.0, max(-1.0, 1 - row["_distance"]))
    return Hit(row["id"], row["field"], similarity, row["label"], {name: row[c] for name, c in metadata.items()})


def _short(error: Exception) -> str:
    """What the engine says, less the place in its source, and with its own names for columns cut."""
    return str(error).split(", /")[0].split(" Valid fields are")[0].removeprefix("Invalid input, ").rstrip(". ")
