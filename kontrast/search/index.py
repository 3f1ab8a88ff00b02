"""A search index over an embedding table, stored in a search engine.

The folder holds index.json, which names the engine, the fields and the current set of tables. A rebuild writes new
tables beside the old ones, replaces index.json atomically, then removes the old tables.
"""

import base64
import contextlib
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kontrast.core import factory, untrusted_json
from kontrast.core.atomic_files import atomic_write
from kontrast.core.embedding_table import EmbeddingTable, refuse_unsound
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.untrusted_json import fitting
from kontrast.core.vector_files import vector_column
from kontrast.data.tables.column_reader import without_nan
from kontrast.search.engine import Engine, vectors
from kontrast.search.exact import nearest, recall
from kontrast.search.where import Term, Unclear, among, both, empty_is_missing, negated, parse, sort_of

EXACT_BELOW = 50_000  # records; comparing all of fewer takes about 40 ms
_TABLES, _SPACE = re.compile(r"tables-[0-9a-f]{12}"), re.compile(r"space\d{1,4}")
_SHAPE = {
    "kontrast": str,
    "engine": {"name": str, "settings": dict},
    "tables": str,
    "shared": bool,
    "spaces": [{"table": str, "fields": [str], "width": int, "schema": str, "recall": (int, float), "reach?": int}],
    "columns": {"*": {"table": str, "type": str, "sort": str, "column": str}, "id": {}, "field": {}, "label": {}},
}
OWN = ("id", "field", "label")
RECALL, NEAR = 0.99, 10  # recall@10 that an approximate index must reach
ASKED, ASKED_EXACT = 100, 20  # stored vectors used as queries to measure it; fewer suffice to check an exact table


@dataclass(frozen=True)
class Hit:
    """Search result with cosine similarity in [-1, 1]; an unknown label is ""."""

    id: str
    field: str
    similarity: float
    label: str
    metadata: Mapping[str, Any]


class Index:
    """An open search index; `build` and `Index.open` return one.

    `facts` is the content of index.json: the engine and its settings, and per table its fields, width, reach of the
    search and recall@10 against the exact search, measured when the index was built.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], engine: Engine) -> None:
        self.folder, self.facts, self._engine = folder, facts, engine

    @staticmethod
    def open(folder: Path, *, trust_code: bool = False) -> "Index":
        """Opens the index in a folder.

        Args:
            folder: Folder that holds index.json.
            trust_code: Whether a custom engine named in index.json may be loaded, which runs its code. Default: False.

        Raises:
            UserError: No index, a damaged one, missing tables, or code that is not trusted.
        """
        try:
            facts = _facts(folder)
        except UserError as error:
            again = "make the index again with `kontrast index RUN DATA`"
            raise UserError(f"{str(error).rstrip('.')}; {again}.") from error
        if facts is None:
            raise UserError(f"{folder} holds no index; make one with `kontrast index RUN DATA`.")
        if ":" in (code := facts["engine"]["name"]) and not trust_code:
            raise UserError(
                f"{folder / 'index.json'} names code, '{code}', which runs as soon as it is loaded; add --trust-code "
                "(in Python: trust_code=True) if that code is your own, or you have read it."
            )
        engine = _engine(facts["engine"]["name"], facts["engine"]["settings"], folder)
        if not all(engine.holds(facts["tables"], space["table"]) for space in facts["spaces"]):
            raise UserError(f"the index in {folder} has lost its tables; make it again with `kontrast index RUN DATA`.")
        return Index(folder, facts, engine)

    def __len__(self) -> int:
        """Number of records; a row counts once per field it has."""
        return sum(self._engine.count(self.facts["tables"], space["table"]) for space in self.facts["spaces"])

    @property
    def fields(self) -> list[str]:
        """Names of the fields that can be searched."""
        return [field for space in self.facts["spaces"] for field in space["fields"]]

    @property
    def columns(self) -> dict[str, str]:
        """Columns that a filter may name, with their types."""
        return {name: column["type"] for name, column in self.facts["columns"].items()}

    @property
    def recalls(self) -> dict[str, float]:
        """Recall@10 against the exact search, measured when built, by the table's fields."""
        return {", ".join(space["fields"]): space["recall"] for space in self.facts["spaces"]}

    def search(
        self,
        vector: np.ndarray,
        k: int = 5,
        *,
        field: str | None = None,
        where: str | None = None,
        exclude: Iterable[str] = (),
    ) -> list[Hit]:
        """Finds the k nearest records by cosine similarity.

        Args:
            vector: Query, (D,), finite and not all zero; its length does not matter.
            k: Number of hits. Default: 5.
            field: Field to search. None: all fields, if they share a space.
            where: SQL on id, field, label and metadata, such as `label = 'animals' AND year > 2000` (grammar in
                `where.py`). Names with spaces or dots need double quotes; metadata named label is "meta label".
            exclude: Ids to leave out.

        Returns:
            Up to k hits, nearest first; fewer if fewer records pass the filter.
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
        here = among("field", [field]) if field is not None and len(space["fields"]) > 1 else None
        gone = [str(one) for one in exclude]
        terms = both(self._term(where), here, negated(among("id", gone)) if gone else None)
        vector = vector / np.linalg.norm(vector)
        found = self._engine.nearest(
            self.facts["tables"], space["table"], vector, k, where=terms, reach=space.get("reach")
        )
        metadata = {c["column"]: c["table"] for name, c in self.facts["columns"].items() if c["table"] not in OWN}
        hits = [_hit(row, metadata) for row in found.to_pylist()]
        return sorted(hits, key=lambda hit: (-hit.similarity, hit.id, hit.field))

    def add(self, bank: EmbeddingTable) -> int:
        """Adds rows, replacing those with the same id; returns the number of records afterwards.

        Fields and metadata columns that `bank` lacks are stored as missing; those the index lacks raise UserError.
        """
        known = {c["column"]: c["table"] for name, c in self.facts["columns"].items() if c["table"] not in OWN}
        for name in [n for n in bank.z if n not in self.fields]:
            raise UserError(f"this index has no field '{name}'{did_you_mean(name, self.fields)} Index again to add it.")
        for name in [n for n in bank.metadata.column_names if n not in known]:
            raise UserError(f"this index has no column '{name}'{did_you_mean(name, known)} Index again to add it.")
        widths = {field: space["width"] for space in self.facts["spaces"] for field in space["fields"]}
        for field, z in bank.z.items():
            refuse_unsound(z, f"add: '{field}'")
            if bank.has(field).any() and z.shape[1] != widths[field]:
                raise UserError(f"add got '{field}' with {z.shape[1]} numbers per row; the index has {widths[field]}.")
        metadata = pa.table({known[n]: _plain(bank.metadata[n]) for n in bank.metadata.column_names})
        gone = among("id", [str(i) for i in bank.ids]) if len(bank) else None
        for space in self.facts["spaces"]:
            parts = [_records(bank, field, metadata) for field in space["fields"] if field in bank.z]
            new = self._fitted(pa.concat_tables(parts), space["schema"]) if parts else None
            self._engine.change(self.facts["tables"], space["table"], gone, new)
        return len(self)

    def delete(self, ids: Iterable[str] = (), *, where: str | None = None, everything: bool = False) -> int:
        """Deletes rows by id or by filter, with all their fields.

        Args:
            ids: Ids of rows to delete.
            where: Filter for more rows to delete, as in `search`. None: ids only.
            everything: Whether the filter may match all rows. Default: False, which raises UserError if it does.

        Returns:
            Number of records deleted.
        """
        if where is not None and not where.strip():
            raise UserError("delete got an empty filter; expected what to delete, such as label = 'animals'.")
        before, gone = len(self), {str(one) for one in ids}
        tables = [(self.facts["tables"], space["table"]) for space in self.facts["spaces"]]
        if term := self._term(where):
            matching = {i for table in tables for i in self._engine.matching(*table, term)}
            others = negated(among("id", sorted(matching)))
            left = any(self._engine.matching(*table, others) for table in tables)
            if not left and matching and not everything:
                raise UserError(
                    f"the filter {where!r} describes all {before:,} records of the index; add --yes (in Python: "
                    "everything=True) to delete them all."
                )
            gone |= matching
        for table in tables if gone else []:
            self._engine.change(*table, among("id", sorted(gone)), None)
        return before - len(self)

    def _term(self, where: str | None) -> Term | None:
        if not where or not where.strip():
            return None
        try:
            term = parse(where, {name: (c["table"], c["sort"]) for name, c in self.facts["columns"].items()})
            return empty_is_missing(term, "label")
        except Unclear as error:
            listed = ", ".join(f"{name} ({kind})" for name, kind in self.columns.items())
            raise UserError(
                f"the filter {where!r} cannot be applied: {error}. Columns: {listed}. "
                "Strings stand in single quotes, names with spaces in double quotes."
            ) from error

    def _fitted(self, records: pa.Table, schema: str) -> pa.Table:
        """With the columns, the order and the types of the tables."""
        made = {}
        for field in _schema(schema):
            there = field.name in records.column_names
            try:
                made[field.name] = records[field.name].cast(field.type) if there else pa.nulls(len(records), field.type)
            except pa.ArrowException as error:
                name = next(n for n, c in self.facts["columns"].items() if c["table"] == field.name)
                raise UserError(f"add: column '{name}' does not fit the index's {field.type}: {error}.") from error
        return pa.table(made)

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


def build(
    bank: EmbeddingTable,
    folder: Path,
    *,
    engine: str = "lancedb",
    settings: Mapping[str, Any] | None = None,
    exact_below: int = EXACT_BELOW,
    label: str | None = None,
) -> Index:
    """Builds a search index over an embedding table, atomically replacing one already in the folder.

    Every field that a row has becomes a record. Fields of a shared space share a table; others have one each.

    Args:
        bank: Embeddings with ids, labels and metadata.
        folder: Folder for index.json and, depending on the engine, its tables.
        engine: Name of an engine in `engines/`. Default: "lancedb".
        settings: Settings of the engine, such as {"uri": "s3://bucket/emoji"}. None: its defaults.
        exact_below: Records from which a table gets an approximate index, searched widely enough to find 99 % of the
            10 nearest neighbours of 100 of its records (see `Index.recalls`). Default: 50,000.
        label: The user's name for the label column, which filters then accept too. None: only "label".
    """
    if not any(bank.has(field).any() for field in bank.z):
        raise UserError("the table has no embedding to index; expected rows with at least one field.")
    for field, z in bank.z.items():
        refuse_unsound(z, f"the bank's '{field}'")
    settings = dict(settings or {})
    made = _engine(engine, settings, folder)
    columns, metadata = _columns(bank)
    if label is not None and label not in columns and bank.labels is not None:
        columns[label] = {**columns["label"], "column": label}
    tables = f"tables-{uuid.uuid4().hex[:12]}"
    groups = [list(bank.z)] if bank.shared else [[field] for field in bank.z]
    try:
        spaces = []
        for fields in groups:
            records = pa.concat_tables([_records(bank, field, metadata) for field in fields])
            if len(records):
                place = f"space{len(spaces)}"
                reaches = made.create(tables, place, records, len(records) >= exact_below)
                space = {"table": place, "fields": fields, "width": bank.z[fields[0]].shape[1]}
                space["schema"] = base64.b64encode(records.schema.serialize().to_pybytes()).decode()
                spaces.append(space | _measured(made, tables, place, records, reaches))
        facts = {"kontrast": "index", "engine": {"name": engine, "settings": settings}, "tables": tables}
        facts |= {"shared": bank.shared, "spaces": spaces, "columns": columns}
        old = _replaced(folder)
        with atomic_write(folder / "index.json") as aside:
            aside.write_text(untrusted_json.written(facts, 2), encoding="utf8")
    except BaseException:
        with contextlib.suppress(UserError):  # the server may not answer; the first error matters more
            made.forget(tables)
        raise
    if old is not None:
        old[0].forget(old[1])
    return Index(folder, facts, made)


def _engine(name: str, settings: Mapping[str, Any], folder: Path) -> Engine:
    return factory.build("engines", name, settings, given={"folder": folder})


def _replaced(folder: Path) -> tuple[Engine, str] | None:
    """Engine and tables of the index being replaced; None if there is no readable one."""
    try:
        old = _facts(folder)
        made = None if old is None else _engine(old["engine"]["name"], old["engine"]["settings"], folder)
    except UserError:
        return None  # a damaged index is overwritten without cleaning up
    return None if old is None or made is None else (made, old["tables"])


def _facts(folder: Path) -> dict[str, Any] | None:
    """Content of index.json, checked; None if the file does not exist.

    Table names become file names that are replaced and removed, so only names that `build` gives are accepted.
    """
    file = folder / "index.json"
    if not file.is_file():
        return None
    facts = untrusted_json.shaped(untrusted_json.tree(untrusted_json.text(file), str(file)), _SHAPE, str(file))
    names = [(facts["tables"], _TABLES), *((space["table"], _SPACE) for space in facts["spaces"])]
    for name, known in names:
        if not known.fullmatch(name):
            raise UserError(f"{file} names a table {name[:60]!r}; expected one that kontrast made.")
    fields = [field for space in facts["spaces"] for field in space["fields"]]
    if not fields or len(set(fields)) < len(fields) or not all(space["fields"] for space in facts["spaces"]):
        raise UserError(f"{file} names its fields wrongly ({', '.join(fields)[:60]}).")
    for space in facts["spaces"]:
        with fitting(str(file)):
            schema = _schema(space["schema"])
            kind = schema.field("vector").type
            if not pa.types.is_fixed_size_list(kind) or kind.list_size != space["width"]:
                raise ValueError(f"a table's vectors are {kind}, and not of width {space['width']}")
            for name, column in facts["columns"].items():
                if column["sort"] != sort_of(schema.field(column["table"]).type):
                    raise ValueError(f"column '{name}' is said to hold {column['sort']}")
    return facts


def _schema(said: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(said)))


def _columns(bank: EmbeddingTable) -> tuple[dict[str, dict[str, str]], pa.Table]:
    # Stored columns are named c0, c1, ..., because engines differ in the names they allow.
    columns = {name: {"table": name, "type": "string", "sort": "text", "column": name} for name in OWN}
    plain = {}
    for i, name in enumerate(bank.metadata.column_names):
        plain[f"c{i}"] = column = _plain(bank.metadata[name])
        said = name
        while said in columns:
            said = f"meta {said}"
        columns[said] = {"table": f"c{i}", "type": str(column.type), "sort": sort_of(column.type), "column": name}
    return columns, pa.table(plain)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string()) if pa.types.is_null(column.type) else without_nan(column)


def _records(bank: EmbeddingTable, field: str, metadata: pa.Table) -> pa.Table:
    """Records of the rows that have the field."""
    rows = np.flatnonzero(bank.has(field))
    labels = np.full(len(rows), "") if bank.labels is None else bank.labels[rows]
    columns = {
        "id": pa.array(bank.ids[rows].astype(str), pa.string()),
        "field": pa.array([field] * len(rows), pa.string()),
        "label": pa.array(labels.astype(str), pa.string()),
        "vector": vector_column(bank.z[field][rows]),
    }
    taken = metadata.take(pa.array(rows)) if metadata.num_columns else metadata
    return pa.table(columns | {name: taken[name] for name in taken.column_names})


def _measured(engine: Engine, tables: str, space: str, records: pa.Table, reaches: Iterable[int]) -> dict[str, Any]:
    """Cheapest reach that finds enough neighbours in a table, and its recall@10."""
    reaches = list(reaches)
    z_ND = vectors(records)
    rows = np.unique(np.linspace(0, len(z_ND) - 1, ASKED if reaches else ASKED_EXACT).astype(int))
    true_Qk = nearest(z_ND[rows], z_ND, NEAR)[1]
    reach, found = None, 0.0
    for reach in reaches or [None]:
        tables_found = [engine.nearest(tables, space, z_ND[row], NEAR, reach=reach) for row in rows]
        found = recall([table["similarity"].to_numpy() for table in tables_found], true_Qk)
        if found >= RECALL:
            break
    return {"exact": not reaches, "reach": reach, "recall": found}


def _hit(row: Mapping[str, Any], metadata: Mapping[str, str]) -> Hit:
    return Hit(row["id"], row["field"], row["similarity"], row["label"], {name: row[c] for name, c in metadata.items()})
