"""A group per row (patient, domain, site, camera), for relations within and across groups; it splits the rows too."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.data.frame import Column
from kontrast.data.target import Target, classes, unknown


class Group(Target):
    """The group of a row.

    The key is int64: the place of its group among the groups of the training rows, from 0. A row without one, and each
    row that does not train, has a negative number of its own.
    """

    def __init__(self, *, column: str, who: str) -> None:
        self.column, self._who = column, who

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """The groups of the training rows, in order."""
        self._names, codes = classes(cells, self._who)
        self._values = unknown(ids)
        self._values[rows] = np.where(codes >= 0, codes, self._values[rows])

    def facts(self) -> Mapping[str, Any]:
        """`groups`: their number in training."""
        return {"groups": len(self._names)}

    def keys(self, index: np.ndarray) -> Tensor:
        """(B,) int64."""
        return torch.from_numpy(self._values[index])
