"""A probability for each class per row (votes of several people, a teacher's word), for GenSCL and soft relations."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.data.frame import Column
from kontrast.data.target import Target, rows_of_numbers


class Soft(Target):
    """A distribution over classes per row: a list of numbers that are 0 or more, divided by their sum.

    The key is (B, C) float32; zeros in a row without one, and in every row that is not trained on.
    """

    recipe = "genscl"

    def __init__(self, *, column: str, who: str) -> None:
        self.column, self._who = column, who

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """How many classes there are, and the distributions of the training rows."""
        found = rows_of_numbers(cells, self._who)
        lengths = sorted({len(row) for row in found if row is not None})
        if len(lengths) > 1:
            raise UserError(
                f"{self._who} holds lists of {lengths[0]} and of {lengths[-1]} numbers; expected one for each class."
            )
        self._values = np.zeros((len(rows), lengths[0] if lengths else 0), np.float32)
        for at, row in enumerate(found):
            if row is None:
                continue
            total = float(row.sum())
            if not (row >= 0).all() or not 0 < total < np.inf:
                raise UserError(
                    f"{self._who} holds {str(row.tolist())[:60]}; expected numbers of 0 or more, not all 0, as "
                    "probabilities or votes."
                )
            self._values[at] = row / total
        self._place = np.full(len(ids), -1)
        self._place[rows] = np.arange(len(rows))

    def facts(self) -> Mapping[str, Any]:
        """`classes`: the numbers in a list."""
        return {"classes": self._values.shape[1]}

    def keys(self, index: np.ndarray) -> Tensor:
        """(B, C) float32."""
        place = self._place[index]
        found = np.zeros((len(place), self._values.shape[1]), np.float32)
        found[place >= 0] = self._values[place[place >= 0]]
        return torch.from_numpy(found)
