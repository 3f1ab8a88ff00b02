"""Columns of point clouds: files, their bytes, arrays and nested lists of points."""

from pathlib import Path

import numpy as np

from kontrast.core.errors import Unreadable
from kontrast.data.schema import file_tree
from kontrast.data.schema.column import Claim, Column, is_url, mostly, shape_of
from kontrast.data.schema.named_files import named_files
from kontrast.data.tables.column_reader import is_number
from kontrast.modalities.points.cloud import ARRAYS, cloud, is_cloud, names_cloud
from kontrast.modalities.points.layout import guessed_roles

_NAMES = ("points", "point_cloud", "pointcloud", "cloud", "xyz", "coords", "pos", "vertices")
_KIND = "point cloud"
_FEWEST = 64  # points of a cloud whose column has another name
_WIDTHS = (3, 6, 9)  # coordinates, then normals, colours, or both
_LOOKED = 32  # arrays
_OPENED = 4  # files of arrays
_UNORDERED = 0.2  # correlation of neighbouring rows below which they are unordered


def recognise(column: Column) -> Claim | None:
    """Says why a column holds point clouds."""
    if column.strings:
        return named_files(column, names_cloud, _KIND) or _of_array_files(column)
    if column.files:
        inside = mostly(lambda c: is_cloud(c["bytes"] or b"") or names_cloud(c["path"] or ""), column.files)
        return Claim("files of points inside the table") if inside else None
    if column.binaries:
        return Claim("bytes of files of points") if mostly(is_cloud, column.binaries) else None
    listed = column.type is not None
    if listed:
        inner, depth = column.listed
        if not is_number(inner) or depth != 2:
            return None
    arrays = column.arrays
    if not arrays or not (unordered(arrays) or (column.name in _NAMES and _pointlike(arrays))):
        return None
    return Claim("lists of points" if listed else f"arrays of points ({shape_of(arrays)})")


def unordered(arrays: list[np.ndarray]) -> bool:
    """Whether arrays of (points, 3), or (3, points), are unordered points; or with normals or colours beside.

    Neighbouring points are then uncorrelated, unlike successive times of a series.
    """
    found = []
    for array in arrays[:_LOOKED]:
        if array.ndim != 2:
            return False
        points = array.T if array.shape[0] == 3 and array.shape[1] > 3 else array
        if points.shape[1] not in _WIDTHS or len(points) < _FEWEST or "other" in guessed_roles(points[:, 3:]):
            return False
        x = points[:, :3] - points[:, :3].mean(0, dtype=np.float64)
        spread = (x**2).mean(0)
        if spread.all() and np.isfinite(spread).all():
            found.append(np.mean((x[1:] * x[:-1]).mean(0) / spread))
    return bool(found) and float(np.median(np.abs(found))) < _UNORDERED


def _pointlike(arrays: list[np.ndarray]) -> bool:
    """Whether arrays have two axes, one of them with at least three numbers per point."""
    return all(array.ndim == 2 and (array.shape[0] == 3 or 3 <= array.shape[1] <= 16) for array in arrays)


def _of_array_files(column: Column) -> Claim | None:
    """Names of .npy and .npz files, the first of which hold points."""
    named = [cell for cell in column.strings if Path(cell[-20:]).suffix.lower() in ARRAYS and not is_url(cell)]
    there = [cell for cell in named if file_tree.there(file_tree.locate(column.folder, cell))]
    if not there or len(named) < len(column.strings) // 2:
        return None
    try:
        arrays = [cloud(cell, column.folder, _FEWEST).points for cell in there[:_OPENED]]
    except Unreadable:
        return None
    named_so = column.name in _NAMES and _pointlike(arrays)
    return Claim("strings that name files of arrays of points") if named_so or unordered(arrays) else None
