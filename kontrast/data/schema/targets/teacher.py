"""A teacher's embedding of each row, for distillation."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kontrast.core.errors import UserError
from kontrast.data.schema.target import Vectors, rows_of_one_width
from kontrast.data.tables.frame import Column


class Teacher(Vectors):
    """Embedding of the row by another model: a list of numbers, the same number in each row.

    The key is (B, D) float32; zeros in rows without an embedding and in rows that do not train.
    """

    recipe = "distillation"

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """Learns the width and the embeddings of the training rows."""
        self.keep(rows_of_one_width(cells, self._who, "embeddings of one width", self._checked), rows, ids)

    def facts(self) -> Mapping[str, Any]:
        """The `width` of the embeddings."""
        return {"width": self._values.shape[1]}

    def _checked(self, row: np.ndarray) -> np.ndarray:
        if not np.isfinite(row).all():
            raise UserError(f"{self._who} holds {str(row.tolist())[:60]}; expected finite numbers.")
        return row
