"""A probability per class and row (votes, a teacher's predictions), for GenSCL."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kontrast.core.errors import UserError
from kontrast.data.schema.target import Vectors, rows_of_numbers
from kontrast.data.tables.frame import Column


class Soft(Vectors):
    """Distribution over classes per row: a list of non-negative numbers, divided by their sum.

    The key is (B, C) float32; zeros in rows without a distribution and in rows that do not train.
    """

    recipe = "genscl"

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """Learns the number of classes and the distributions of the training rows."""
        found = rows_of_numbers(cells, self._who)
        lengths = sorted({len(row) for row in found if row is not None})
        if len(lengths) > 1:
            raise UserError(
                f"{self._who} holds lists of {lengths[0]} and of {lengths[-1]} numbers; expected one for each class."
            )
        values = np.zeros((len(rows), lengths[0] if lengths else 0), np.float32)
        for at, row in enumerate(found):
            if row is None:
                continue
            total = float(row.sum())
            if not (row >= 0).all() or not 0 < total < np.inf:
                raise UserError(
                    f"{self._who} holds {str(row.tolist())[:60]}; expected numbers of 0 or more, not all 0, as "
                    "probabilities or votes."
                )
            values[at] = row / total
        self.keep(values, rows, ids)

    def facts(self) -> Mapping[str, Any]:
        """Number of `classes`, the length of the lists."""
        return {"classes": self._values.shape[1]}
