"""A teacher's embedding of each row, for distillation."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kontrast.core.errors import UserError
from kontrast.data.schema.target import Vectors, rows_of_numbers
from kontrast.data.tables.frame import Column


class Teacher(Vectors):
    """Embedding of the row by another model: a list of numbers, the same number in each row.

    The key is (B, D) float32; zeros in rows without an embedding and in rows that do not train.
    """

    recipe = "distillation"

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """Learns the width and the embeddings of the training rows."""
        found = rows_of_numbers(cells, self._who)
        widths = sorted({len(row) for row in found if row is not None})
        if len(widths) > 1:
            raise UserError(
                f"{self._who} holds lists of {widths[0]} and of {widths[-1]} numbers; expected embeddings of one width."
            )
        values = np.zeros((len(rows), widths[0] if widths else 0), np.float32)
        for at, row in enumerate(found):
            if row is None:
                continue
            if not np.isfinite(row).all():
                raise UserError(f"{self._who} holds {str(row.tolist())[:60]}; expected finite numbers.")
            values[at] = row
        self.keep(values, rows, ids)

    def facts(self) -> Mapping[str, Any]:
        """The `width` of the embeddings."""
        return {"width": self._values.shape[1]}
