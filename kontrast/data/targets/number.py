"""A target number per row (an age, a dose, a price), for Rank-N-Contrast and y-aware contrast."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.data.frame import Column
from kontrast.data.target import Target, numbers, scale


class Number(Target):
    """The target number of a row.

    The key is float64, in the unit of the column; NaN in a row without one, and in every row that is not trained on.
    """

    recipe = "rnc"

    def __init__(self, *, column: str, who: str) -> None:
        self.column, self._who = column, who

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """The values of the training rows and their scale."""
        values = numbers(cells, self._who)
        self._scale = scale(values)
        self._values = np.full(len(ids), np.nan)
        self._values[rows] = np.where(np.isfinite(values), values, np.nan)

    def facts(self) -> Mapping[str, Any]:
        """How many training rows have one (`known`); their `mean`, `std`, `low` and `high`."""
        return self._scale

    def keys(self, index: np.ndarray) -> Tensor:
        """(B,) float64."""
        return torch.from_numpy(self._values[index])
