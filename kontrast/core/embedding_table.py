"""Embeddings on disk with ids, labels and metadata: the only input of evaluation, search and report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kontrast.core.atomic_files import atomic_write
from kontrast.core.errors import UserError
from kontrast.core.unit_rows import unit
from kontrast.core.untrusted_json import fitting
from kontrast.core.vector_files import read_whole, vector_column


@dataclass(frozen=True)
class EmbeddingTable:
    """Embeddings of N rows, a block per field of the data.

    Attributes:
        z: Field -> (N, D) float32, L2-normalised; a row that lacks the field is NaN throughout.
        ids: (N,) strings.
        labels: (N,) strings, "" if unknown; None if the data has none.
        metadata: N rows of plain columns, for filters and hover texts.
        shared: Whether the fields lie in one space (CLIP), so that rows of different fields may be compared.
        golds: (N,) float64, gold similarity of the two fields of a row, NaN if unknown; None if the data has none.
        margins: (N,) float64, by how much the chosen field of a row scores above its rejected one, NaN if unknown; None
            if nothing was preferred.
    """

    z: Mapping[str, np.ndarray]
    ids: np.ndarray
    labels: np.ndarray | None = None
    metadata: pa.Table = field(default_factory=lambda: pa.table({}))
    shared: bool = False
    golds: np.ndarray | None = None
    margins: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def has(self, name: str) -> np.ndarray:
        """(N,) bool: rows that have the field."""
        return ~np.isnan(self.z[name][:, 0])

    def take(self, index: np.ndarray) -> "EmbeddingTable":
        """Selects rows by indices or a mask, in that order."""
        index = np.flatnonzero(index) if index.dtype == bool else index
        labels = None if self.labels is None else self.labels[index]
        metadata = self.metadata.take(pa.array(index)) if self.metadata.num_columns else self.metadata
        golds = None if self.golds is None else self.golds[index]
        margins = None if self.margins is None else self.margins[index]
        return EmbeddingTable(
            {n: z[index] for n, z in self.z.items()}, self.ids[index], labels, metadata, self.shared, golds, margins
        )

    def whole(self) -> np.ndarray:
        """One vector per row, of length 1: (N, D).

        In a shared space the mean over fields, else their concatenation; a missing field counts as zero.
        """
        blocks = [np.nan_to_num(z) for z in self.z.values()]
        one = sum(blocks[1:], blocks[0]) if self.shared else np.concatenate(blocks, axis=1)
        return unit(one)

    def save(self, path: Path) -> None:
        """Writes one Parquet file, embeddings as fixed-size lists; no half-written file is ever seen."""
        table = {"id": pa.array(self.ids.astype(str))}
        if self.labels is not None:
            table["label"] = pa.array(self.labels.astype(str))
        if self.golds is not None:
            table["gold"] = pa.array(self.golds)
        if self.margins is not None:
            table["margin"] = pa.array(self.margins)
        for name, z in self.z.items():
            table[f"embedding {name}"] = vector_column(z)
        for name in self.metadata.column_names:
            table[f"meta {name}"] = self.metadata[name]
        marked = pa.table(table).replace_schema_metadata({"kontrast": "bank", "shared": str(self.shared)})
        with atomic_write(path) as aside:
            pq.write_table(marked, aside)

    @staticmethod
    def load(path: Path) -> "EmbeddingTable":
        """Reads what `save` wrote.

        Raises:
            UserError: no such file, or a damaged or foreign one.
        """
        if not path.is_file():
            raise UserError(f"no embeddings at {path}; expected a file written by kontrast embed or train.")
        table = read_whole(path)
        marks = table.schema.metadata or {}
        if marks.get(b"kontrast") != b"bank":
            raise UserError(
                f"{path} is a Parquet file, but holds no embeddings of kontrast; expected one written "
                "by kontrast embed or train."
            )
        with fitting(str(path)):
            z = {
                name.removeprefix("embedding "): _block(table[name], f"{path}, '{name}'")
                for name in table.column_names
                if name.startswith("embedding ")
            }
            if not z:
                raise UserError(f"{path} holds no embeddings; expected columns named 'embedding FIELD'.")
            named = {n.removeprefix("meta "): table[n] for n in table.column_names if n.startswith("meta ")}
            labels = np.array(table["label"].to_pylist(), dtype=str) if "label" in table.column_names else None
            ids = np.array(table["id"].to_pylist(), dtype=str)
            golds, margins = (
                table[name].to_numpy().astype(np.float64) if name in table.column_names else None
                for name in ("gold", "margin")
            )
            return EmbeddingTable(z, ids, labels, pa.table(named), marks.get(b"shared") == b"True", golds, margins)


def joined(one: EmbeddingTable, two: EmbeddingTable) -> EmbeddingTable:
    """Concatenates the rows of two embedding tables; labels are kept if both have them."""
    labels = None if one.labels is None or two.labels is None else np.concatenate([one.labels, two.labels])
    z = {name: np.concatenate([one.z[name], two.z[name]]) for name in one.z}
    metadata = pa.concat_tables([one.metadata, two.metadata], promote_options="permissive")
    golds = None if one.golds is None or two.golds is None else np.concatenate([one.golds, two.golds])
    margins = None if one.margins is None or two.margins is None else np.concatenate([one.margins, two.margins])
    return EmbeddingTable(z, np.concatenate([one.ids, two.ids]), labels, metadata, one.shared, golds, margins)


def _block(column: pa.ChunkedArray, who: str) -> np.ndarray:
    """(N, D) float32; a row is NaN throughout, or of length 1."""
    kind = column.type
    if not pa.types.is_fixed_size_list(kind) or not pa.types.is_float32(kind.value_type) or kind.list_size < 1:
        raise UserError(f"{who} holds {kind}; expected lists of float32, all of one length.")
    joined = column.combine_chunks()
    flat = joined.chunks[0] if isinstance(joined, pa.ChunkedArray) else joined
    if flat.null_count or flat.flatten().null_count:
        raise UserError(f"{who} has rows with nothing; a row that lacks the field is NaN throughout.")
    z = flat.flatten().to_numpy(zero_copy_only=False).reshape(-1, kind.list_size)
    refuse_unsound(z, who)
    return z


def refuse_unsound(z: np.ndarray, who: str) -> None:
    """Refuses rows with NaN beside numbers, or infinity, which would be nearest to all or to nothing.

    Raises:
        UserError: such rows; `who` begins the message.
    """
    wrong = np.flatnonzero(~np.isfinite(z).all(axis=1) & ~np.isnan(z).all(axis=1))
    if len(wrong):
        found = "infinity" if np.isinf(z[wrong[0]]).any() else "NaN beside numbers"
        raise UserError(
            f"{who}: {len(wrong):,} of {len(z):,} rows are no embedding: row {wrong[0]} holds {found}; expected finite "
            "numbers, or NaN throughout where a row lacks the field. Embed those rows again, or leave them out."
        )
