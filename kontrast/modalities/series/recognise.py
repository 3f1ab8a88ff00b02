"""Columns of time series: lists or arrays of numbers with one or two axes."""

import numpy as np

from kontrast.data.schema.column import Claim, Column, shape_of
from kontrast.data.tables.column_reader import is_number

_SHORTEST = 4  # instants of the longest row


def recognise(column: Column) -> Claim | None:
    """Says why a column holds series, or looks like it and cannot."""
    listed = column.type is not None
    if listed:
        inner, depth = column.listed
        if not is_number(inner) or not 1 <= depth <= 2:
            return None
    elif not column.arrays or column.arrays[0].ndim > 2:
        return None
    arrays = column.arrays
    if listed or arrays[0].ndim == 1:
        longest = max(max(np.shape(c), default=0) if isinstance(c, np.ndarray) else len(c) for c in column.cells)
        if longest < _SHORTEST:
            seen = f"lists of at most {longest} numbers" if listed else f"at most {longest} numbers a row"
            return Claim(f"{seen}, too short for a series", usable=False)
    return Claim("lists of numbers" if listed else f"arrays of numbers ({shape_of(arrays)})")
