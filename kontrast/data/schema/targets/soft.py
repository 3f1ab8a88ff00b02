"""A probability per class and row (votes, a teacher's predictions), for GenSCL."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kontrast.core.errors import UserError
from kontrast.data.schema.target import Vectors, rows_of_one_width
from kontrast.data.tables.frame import Column


class Soft(Vectors):
    """Distribution over classes per row: a list of non-negative numbers, divided by their sum.

    The key is (B, C) float32; zeros in rows without a distribution and in rows that do not train.
    """

    recipe = "genscl"

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """Learns the number of classes and the distributions of the training rows."""
        self.keep(rows_of_one_width(cells, self._who, "one for each class", self._checked), rows, ids)

    def facts(self) -> Mapping[str, Any]:
        """Number of `classes`, the length of the lists."""
        return {"classes": self._values.shape[1]}

    def _checked(self, row: np.ndarray) -> np.ndarray:
        total = float(row.sum())
        if not (row >= 0).all() or not 0 < total < np.inf:
            raise UserError(
                f"{self._who} holds {str(row.tolist())[:60]}; expected numbers of 0 or more, not all 0, as "
                "probabilities or votes."
            )
        return row / total
