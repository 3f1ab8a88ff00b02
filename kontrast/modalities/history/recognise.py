"""Columns of sequences of items: lists of codes that recur, or lists of ids under a telling name."""

import re
from itertools import chain

import numpy as np

from kontrast.data.schema.column import Claim, Column, is_string

_NAMES = ("items", "item_ids", "history", "session", "basket", "playlist", "clicks", "purchases", "listens", "tracks")
_CODE = re.compile(r"^(?=.*\d)[\w.:/-]+$", re.ASCII)
_RECUR = 0.5  # distinct codes per code, at most: ids of items recur in other rows
_MOST = 0.8  # share of codes that decides


def recognise(column: Column) -> Claim | None:
    """Says why a column holds sequences of items."""
    if column.type is None:
        return _numbers(column)
    inner, depth = column.listed
    if depth != 1:
        return None
    if not is_string(inner):
        return _numbers(column)
    if column.name in _NAMES:
        return Claim(f"lists of strings, and named '{column.name}'")
    ids = [one for one in chain.from_iterable(column.cells) if one is not None]
    if not ids or len(set(ids)) > _RECUR * len(ids) or sum(map(bool, map(_CODE.match, ids))) < _MOST * len(ids):
        return None
    return Claim("lists of codes that recur in other rows")


def _numbers(column: Column) -> Claim | None:
    """Whole numbers are values of a series, unless the column's name says that they are ids."""
    arrays = column.arrays
    if column.name not in _NAMES or not arrays or not all(_ids(array) for array in arrays):
        return None
    return Claim(f"lists of whole numbers, and named '{column.name}'")


def _ids(array: np.ndarray) -> bool:
    return array.ndim == 1 and array.dtype.kind in "iu" and bool((array >= 0).all())
