"""Columns of time series: lists or arrays of numbers with one or two axes."""

import numpy as np

from kontrast.data.schema import unsupported
from kontrast.data.schema.column import Claim, Column, shape_of
from kontrast.data.tables.column_reader import is_number

_SHORTEST = 4  # instants of the longest row
_CLOUDS = ("points", "point_cloud", "pointcloud", "cloud", "xyz", "coords", "pos", "vertices")


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
    flat = [array for array in arrays if array.ndim == 2]
    if flat and flat[0] is arrays[0] and _is_cloud(column.name, flat):
        seen = "lists of points" if listed else f"arrays of {shape_of(arrays)}"
        return Claim(f"{seen}: {unsupported.words('point clouds or meshes')}", usable=False)
    if listed or arrays[0].ndim == 1:
        longest = max(max(np.shape(c), default=0) if isinstance(c, np.ndarray) else len(c) for c in column.cells)
        if longest < _SHORTEST:
            seen = f"lists of at most {longest} numbers" if listed else f"at most {longest} numbers a row"
            return Claim(f"{seen}, too short for a series", usable=False)
    return Claim("lists of numbers" if listed else f"arrays of numbers ({shape_of(arrays)})")


def _is_cloud(name: str, arrays: list[np.ndarray]) -> bool:
    return (name in _CLOUDS and 3 in arrays[0].shape) or unsupported.is_cloud(arrays)
