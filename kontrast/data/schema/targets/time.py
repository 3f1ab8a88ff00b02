"""The time of a row, for temporal relations; the latest rows are held out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.types as types

from kontrast.data.schema import split
from kontrast.data.schema.target import Numbers
from kontrast.data.tables.frame import Column


class Time(Numbers):
    """Time of a row.

    The key is float64: seconds since 1970 for dates and instants, seconds since midnight for times of day, numbers as
    they are in the column. NaN in rows without a time and in rows that do not train.
    """

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """Learns the times of the training rows."""
        values = split.seconds(cells, self._who)
        number = not isinstance(cells, np.ndarray) and (types.is_integer(cells.type) or types.is_floating(cells.type))
        self._unit = "as in the column" if number else "seconds"
        self.keep(values, rows, ids)

    def facts(self) -> Mapping[str, Any]:
        """The `unit`, the number of `known` times, and their `mean`, `std`, `low` and `high`."""
        return {"unit": self._unit, **super().facts()}
