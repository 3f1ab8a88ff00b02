"""The time of a row, for relations that ask who is near in time; it splits the rows too: the latest are held out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.types as types

from kontrast.data.schema import split
from kontrast.data.schema.target import Numbers
from kontrast.data.tables.frame import Column


class Time(Numbers):
    """The time of a row.

    The key is float64: seconds since 1970 for dates and moments (of a day, for times of a day), numbers as the column
    has them. NaN in a row without one, and in every row that is not trained on.
    """

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """The times of the training rows."""
        values = split.seconds(cells, self._who)
        number = not isinstance(cells, np.ndarray) and (types.is_integer(cells.type) or types.is_floating(cells.type))
        self._unit = "as in the column" if number else "seconds"
        self.keep(values, rows, ids)

    def facts(self) -> Mapping[str, Any]:
        """The `unit`; how many training rows have a time (`known`); their `mean`, `std`, `low` and `high`."""
        return {"unit": self._unit, **super().facts()}
