"""Anomaly scores on disk: one per row or instant, with the threshold that training data gave.

Axis letters: N rows, M scored rows or instants.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kontrast.core.atomic_files import atomic_write
from kontrast.core.errors import UserError
from kontrast.core.untrusted_json import fitting
from kontrast.core.vector_files import read_whole


@dataclass(frozen=True)
class AnomalyTable:
    """Scores of M rows, or of M instants of N rows.

    Attributes:
        ids: (N,) strings.
        row: (M,) int64, rising: the row of each score.
        instant: (M,) int64, the place in the row, from 0; None if whole rows are scored.
        score: (M,) float64, higher for what is unlike training; NaN where nothing was known.
        threshold: Scores above it are flagged.
        labels: (M,) bool, known anomalies; None without labels.
    """

    ids: np.ndarray
    row: np.ndarray
    instant: np.ndarray | None
    score: np.ndarray
    threshold: float
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.row)

    @property
    def flagged(self) -> np.ndarray:
        """(M,) bool: scores above the threshold."""
        return self.score > self.threshold

    def save(self, path: Path) -> None:
        """Writes one Parquet file with the columns id, row, instant, score, flagged and label, those that there are."""
        columns = {"id": pa.array(self.ids.astype(str)[self.row]), "row": pa.array(self.row)}
        if self.instant is not None:
            columns["instant"] = pa.array(self.instant)
        columns |= {"score": pa.array(self.score), "flagged": pa.array(self.flagged)}
        if self.labels is not None:
            columns["label"] = pa.array(self.labels)
        marks = {"kontrast": "anomalies", "threshold": json.dumps(self.threshold)}
        with atomic_write(path) as part:
            pq.write_table(pa.table(columns).replace_schema_metadata(marks), part)

    @staticmethod
    def load(path: Path) -> "AnomalyTable":
        """Reads what `save` wrote; rows without a score have no id there.

        Raises:
            UserError: No such file, or a damaged or foreign one.
        """
        if not path.is_file():
            raise UserError(f"no anomaly scores at {path}; expected a file written by kontrast anomalies.")
        table = read_whole(path)
        marks, names = table.schema.metadata or {}, table.column_names
        if marks.get(b"kontrast") != b"anomalies" or not {"id", "row", "score"} <= {*names}:
            raise UserError(
                f"{path} is a Parquet file without anomaly scores; expected one written by kontrast anomalies."
            )
        with fitting(str(path)):
            row = table["row"].to_numpy().astype(np.int64)
            ids = np.full(int(row.max(initial=-1)) + 1, "", dtype=object)
            ids[row] = table["id"].to_pylist()
            return AnomalyTable(
                ids.astype(str),
                row,
                table["instant"].to_numpy().astype(np.int64) if "instant" in names else None,
                table["score"].to_numpy().astype(np.float64),
                float(marks.get(b"threshold", b"nan")),
                np.array(table["label"].to_pylist(), dtype=bool) if "label" in names else None,
            )
