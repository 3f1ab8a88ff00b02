"""One class per row, for SupCon, proxies, ArcFace, triplets and all that asks for `label`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.data.frame import Column
from kontrast.data.target import Target, classes, unknown


class Label(Target):
    """The class of a row.

    The key is int64: the place of its class among the classes of the training rows, from 0. A row without one, and each
    row that does not train, has a negative number of its own.
    """

    recipe = "supcon"

    def __init__(self, *, column: str, who: str) -> None:
        self.column, self._who = column, who

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """The classes of the training rows, in order, and how many rows each has."""
        self._names, codes = classes(cells, self._who)
        self._counts = np.bincount(codes[codes >= 0], minlength=len(self._names)).tolist()
        self._values = unknown(ids)
        self._values[rows] = np.where(codes >= 0, codes, self._values[rows])

    def facts(self) -> Mapping[str, Any]:
        """`classes` (their number), `names` and `counts` (rows of each, in training)."""
        return {"classes": len(self._names), "names": self._names, "counts": self._counts}

    def keys(self, index: np.ndarray) -> Tensor:
        """(B,) int64."""
        return torch.from_numpy(self._values[index])
