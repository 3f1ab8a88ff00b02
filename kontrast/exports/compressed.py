"""Compressed embeddings (half precision, 8-bit integers, signs, fewer dimensions), and the recall that they lose.

Axis letters: N rows, D width, K dimensions kept, Q queries.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kontrast.core.atomic_files import atomic_write
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.core.unit_rows import unit
from kontrast.core.untrusted_json import fitting
from kontrast.search.exact import nearest, recall

Form = Literal["float32", "float16", "int8", "binary"]
NEAR, ASKED = 10, 1000  # neighbours per query, and queries, when recall is measured


@dataclass(frozen=True)
class Compressed:
    """Compressed codes of an embedding table.

    Codes by form:
        float32, float16: (N, K).
        int8: (N, K), round((z - centre) / scale); per dimension, centre is the middle of the range over rows and scale
            the range / 254.
        binary: (N, ceil(K / 8)) uint8, z > centre with the mean as centre; eight dimensions per byte, the first in the
            highest bit. Compared by Hamming distance.

    Decoded rows are scaled to length one. That and the centres matter for embeddings in a narrow cone, and change
    nothing for embeddings with a mean near zero. Recall@10 on leaf outlines (TCN): int8 1.00, .96 without rescaling,
    .84 without either; binary .63, .27 without centres.

    Attributes:
        form: Number format of the codes.
        width: Number of leading dimensions kept, scaled to length one (Matryoshka embeddings); None: all.
        codes: Codes by field.
        has: Whether each row has the field, (N,) bool by field.
        scales: Scale per dimension by field, for int8.
        centres: Centre per dimension by field, for int8 and binary.
        widths: Dimensions kept by field.
        ids: Ids of the rows, (N,).
        labels: Labels of the rows, (N,); None if unknown.
        metadata: Other columns.
        shared: Whether the fields share a space.

    Reference: Kusupati et al. 2022, arXiv:2205.13147 (Matryoshka).
    """

    form: Form
    width: int | None
    codes: Mapping[str, np.ndarray]
    has: Mapping[str, np.ndarray]
    scales: Mapping[str, np.ndarray]
    centres: Mapping[str, np.ndarray]
    widths: Mapping[str, int]
    ids: np.ndarray
    labels: np.ndarray | None = None
    metadata: pa.Table = field(default_factory=lambda: pa.table({}))
    shared: bool = False

    def bank(self) -> EmbeddingTable:
        """Decodes to float32 rows of length one; binary codes become +1 and -1, scaled."""
        z = {}
        for name in self.codes:
            z[name] = np.where(self.has[name][:, None], unit(self._decoded(name)), np.nan).astype(np.float32)
        return EmbeddingTable(z, self.ids, self.labels, self.metadata, self.shared)

    def size(self) -> int:
        """Size in bytes of all codes, scales and centres."""
        return sum(a.nbytes for kept in (self.codes, self.scales, self.centres) for a in kept.values())

    def save(self, path: Path) -> None:
        """Writes a Parquet file.

        Columns are `id`, `label`, `code FIELD` (fixed-size lists, null if a row lacks the field) and `meta NAME`. Form,
        widths, scales and centres go into the file's metadata.
        """
        table: dict[str, Any] = {"id": pa.array(self.ids.astype(str))}
        if self.labels is not None:
            table["label"] = pa.array(self.labels.astype(str))
        for name, code in self.codes.items():
            gone = pa.array(~self.has[name])
            flat = pa.array(np.ascontiguousarray(code).ravel())
            table[f"code {name}"] = pa.FixedSizeListArray.from_arrays(flat, code.shape[1], mask=gone)
        for name in self.metadata.column_names:
            table[f"meta {name}"] = self.metadata[name]
        marks = {"kontrast": "compressed", "form": self.form, "shared": str(self.shared)}
        marks |= {"width": str(self.width or "")}
        marks |= {f"width {name}": str(width) for name, width in self.widths.items()}
        for word, kept in (("scale", self.scales), ("centre", self.centres)):
            marks |= {f"{word} {name}": base64.b64encode(a.tobytes()).decode() for name, a in kept.items()}
        with atomic_write(path) as aside:
            pq.write_table(pa.table(table).replace_schema_metadata(marks), aside)

    @staticmethod
    def load(path: Path) -> "Compressed":
        """Reads a file that `save` wrote.

        Raises:
            UserError: The file is no readable Parquet, or holds no compressed embeddings.
        """
        try:
            table = pq.read_table(path)
            table.validate(full=True)
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
        marks = {
            k.decode("utf8", "replace"): v.decode("utf8", "replace") for k, v in (table.schema.metadata or {}).items()
        }
        if marks.get("kontrast") != "compressed":
            raise UserError(f"{path} holds no compressed embeddings; expected a file written by `kontrast embed --as`.")
        with fitting(str(path)):
            return Compressed._of(table, marks)

    @staticmethod
    def _of(table: pa.Table, marks: dict[str, str]) -> "Compressed":
        fields = [name.removeprefix("code ") for name in table.column_names if name.startswith("code ")]
        codes, has = {}, {}
        for name in fields:
            column = table[f"code {name}"].combine_chunks()
            has[name] = column.is_valid().to_numpy(zero_copy_only=False)
            values = column.values.fill_null(0).to_numpy()  # includes rows that lack the field
            codes[name] = values.reshape(-1, column.type.list_size)[: len(table)]
        labels = np.array(table["label"].to_pylist(), dtype=str) if "label" in table.column_names else None
        meta = {n.removeprefix("meta "): table[n] for n in table.column_names if n.startswith("meta ")}
        form: Any = marks["form"]
        return Compressed(
            form,
            int(marks["width"]) if marks["width"] else None,
            codes,
            has,
            _numbers(marks, "scale "),
            _numbers(marks, "centre "),
            {name: int(marks[f"width {name}"]) for name in fields},
            np.array(table["id"].to_pylist(), dtype=str),
            labels,
            pa.table(meta),
            marks["shared"] == "True",
        )

    def similarities(self, name: str, asked_QD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors whose inner products rank rows as this form does.

        Args:
            name: Field to compare with.
            asked_QD: Queries, (Q, D) float32.

        Returns:
            Queries (Q, K), cut to the kept dimensions, signs for binary and float32 otherwise; decoded rows (N, K).
        """
        asked = _cut(asked_QD, self.widths[name])
        if self.form == "binary":
            return np.where(asked > self.centres[name], 1, -1).astype(np.float32), self._decoded(name)
        return asked, unit(self._decoded(name))  # rescaling removes most of the rounding error in a narrow cone

    def _decoded(self, name: str) -> np.ndarray:
        code = self.codes[name]
        if self.form == "binary":
            return np.unpackbits(code, axis=1, count=self.widths[name]).astype(np.float32) * 2 - 1
        return code * self.scales[name] + self.centres[name] if self.form == "int8" else code.astype(np.float32)


def compress(bank: EmbeddingTable, form: Form = "int8", width: int | None = None) -> Compressed:
    """Compresses an embedding table.

    Args:
        bank: Embeddings to compress.
        form: "float32", "float16", "int8" or "binary"; `Compressed` defines them. Default: "int8".
        width: Number of leading dimensions to keep of fields that have more; None: all.

    Returns:
        The codes, with ids, labels and metadata.

    Raises:
        UserError: An unknown form, or a width that no field reaches.
    """
    if form not in get_args(Form):
        raise UserError(f"compress: form={form!r}; expected one of {', '.join(get_args(Form))}.")
    if width is not None:
        fitting_width(bank, width)
    codes, has, scales, centres, widths = {}, {}, {}, {}, {}
    for name, z in bank.z.items():
        has[name] = bank.has(name)
        kept = _cut(np.nan_to_num(z), min(width or z.shape[1], z.shape[1]))
        widths[name] = kept.shape[1]
        there = kept[has[name]] if has[name].any() else kept
        if form == "int8":
            low, high = there.min(0), there.max(0)
            centres[name] = (low + high) / 2
            scales[name] = np.maximum(high - low, 1e-12) / np.float32(254)
            codes[name] = np.rint((kept - centres[name]) / scales[name]).clip(-127, 127).astype(np.int8)
        elif form == "binary":
            centres[name] = there.mean(0)
            codes[name] = np.packbits(kept > centres[name], axis=1)
        else:
            codes[name] = kept.astype(form)
    return Compressed(
        form, width, codes, has, scales, centres, widths, bank.ids, bank.labels, bank.metadata, bank.shared
    )


def fitting_width(bank: EmbeddingTable, width: int) -> None:
    """Raises UserError if `width` is below 1 or above the width of every field."""
    most = max(z.shape[1] for z in bank.z.values())
    if not 1 <= width <= most:
        raise UserError(f"compress: width={width}; expected 1 to {most}, what the embeddings have.")


def losses(bank: EmbeddingTable, ways: Iterable[tuple[Form, int | None]]) -> list[dict[str, Any]]:
    """Measures the recall that compression loses.

    Up to 1,000 rows serve as queries against all other rows. Held-out rows (`run.embeddings()`) give unbiased results.

    Args:
        bank: Embeddings, with more than 10 rows per field.
        ways: Pairs of form and width to try; width None keeps all dimensions.

    Returns:
        Per field and pair: field, form, width, recall@10 against the exact float32 search, bytes per row, and
        `smaller`, the factor saved over float32.

    Raises:
        UserError: A field with 10 rows or fewer, or an unsuitable form or width.
    """
    rows = []
    for name in bank.z:
        there = bank.take(bank.has(name))
        if len(there) <= NEAR:
            raise UserError(f"losses: '{name}' has {len(there)} rows; recall@{NEAR} needs more than {NEAR}.")
        z_ND = there.z[name]
        asked = np.unique(np.linspace(0, len(z_ND) - 1, ASKED).astype(int))
        _, true_Qk = _others(z_ND[asked], z_ND, asked)
        for form, width in ways:
            small = compress(EmbeddingTable({name: z_ND}, there.ids), form, width)
            found, _ = _others(*small.similarities(name, z_ND[asked]), asked)
            real = [z_ND[near] @ z_ND[row] for near, row in zip(found, asked, strict=True)]
            size = small.codes[name][0].nbytes
            row = {"field": name, "form": form, "width": small.widths[name], "recall@10": recall(real, true_Qk)}
            rows.append(row | {"bytes": size, "smaller": z_ND[0].nbytes / size})
    return rows


def _numbers(marks: Mapping[str, str], word: str) -> dict[str, np.ndarray]:
    """Arrays in the file's metadata whose keys start with `word`, by field."""
    found = {key.removeprefix(word): value for key, value in marks.items() if key.startswith(word)}
    return {name: np.frombuffer(base64.b64decode(value), np.float32) for name, value in found.items()}


def _cut(z_ND: np.ndarray, width: int) -> np.ndarray:
    """First `width` dimensions scaled to length one, (N, width)."""
    return unit(z_ND[:, :width].astype(np.float32))


def _others(asked_QK: np.ndarray, z_NK: np.ndarray, own_Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (Q, 10) and similarities (Q, 10) of the nearest neighbours, without the query itself."""
    rows, near = nearest(asked_QK, z_NK, NEAR + 1)
    itself = rows == own_Q[:, None]
    itself[~itself.any(1), -1] = True  # duplicates pushed the query out of the list: drop the last instead
    return rows[~itself].reshape(-1, NEAR), near[~itself].reshape(-1, NEAR)
