"""Columns from values in memory: Arrow for flat values, numpy for arrays of several axes and other objects."""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kontrast.core.errors import UserError
from kontrast.data.sources.graph_records import graph_record, is_graph
from kontrast.data.tables.column_reader import plain
from kontrast.data.tables.frame import ANYWHERE, Column, Frame


def frame_of(values: Mapping[str, Any], name: str, folder: Path | None = None) -> Frame:
    """Makes a Frame of columns of equal length.

    Args:
        values: Name -> list, array or tensor.
        name: Of the data, for messages.
        folder: Relative paths in cells are relative to it; None for the working folder.

    Raises:
        UserError: columns differ in length, or a column holds values that no table can.
    """
    columns = {str(key): column(value, f"{name}, column '{key}'") for key, value in values.items()}
    lengths = {key: len(value) for key, value in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise UserError(f"{name}: columns differ in length ({listed}); expected one value per row in each.")
    return Frame(columns, name, folder or Path.cwd(), () if folder else ANYWHERE)


def frame_of_table(table: pa.Table, name: str, folder: Path | None) -> Frame:
    """Makes a Frame of an Arrow table.

    Args:
        table: Columns with distinct names.
        name: Of the data, for messages.
        folder: Relative paths in cells are relative to it; None for a table from memory.

    Raises:
        UserError: two columns have one name.
    """
    # One name may be written in two ways (é as one sign or as two); no one could tell such columns apart.
    names = [unicodedata.normalize("NFC", name) for name in table.column_names]
    doubles = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
    if doubles:
        raise UserError(f"{name}: several columns are named '{doubles[0]}'; rename them.")
    columns = {n: _tensors(table[n]) for n in table.column_names}
    return Frame(columns, name, folder or Path.cwd(), () if folder else ANYWHERE)


def column(values: Any, who: str) -> Column:
    """Makes one column of a list, tuple, array, tensor, Arrow array or anything that numpy reads.

    Args:
        values: One per row.
        who: Begins the messages.

    Raises:
        UserError: a single value, mixed kinds of values, or values that no table can hold.
    """
    if isinstance(values, pa.Array):
        values = pa.chunked_array([values])
    if isinstance(values, pa.ChunkedArray):
        return _tensors(values)
    if isinstance(values, str | bytes | Mapping) or np.ndim(_outer(values)) == 0:
        raise UserError(f"{who} is one {type(values).__name__}; expected a list or an array with one value per row.")
    if isinstance(values, list | tuple):
        return _of_list(values, who)
    array = _array(values, who)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]  # labels often come as a column
    if array.dtype == object:
        return _of_list(array.tolist() if array.ndim == 1 else list(array), who)
    if array.ndim > 1:
        return array
    here = array.astype(array.dtype.newbyteorder("="), copy=False)  # files may come from machines of the other order
    try:
        return plain(pa.chunked_array([pa.array(here)]))
    except pa.ArrowException as error:
        raise UserError(f"{who} holds {array.dtype}, which is no kind of value that a table has ({error}).") from error


def _outer(values: Any) -> Any:
    """Something of the same number of axes, at most 1, without a look at what lies deeper (ragged lists)."""
    return [None] if isinstance(values, list | tuple) else values


def _array(values: Any, who: str) -> np.ndarray:
    import torch

    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    try:
        return np.asanyarray(values)  # a memory-mapped array stays one
    except (ValueError, TypeError) as error:
        raise UserError(f"{who}: {type(values).__name__} cannot be read as an array: {error}.") from error


def _of_list(values: Sequence[Any], who: str) -> Column:
    """Arrow if it can hold the values; arrays and pictures stay as they are."""
    import torch

    values = [v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else v for v in values]
    values = [_record(v) if _is_sound(v) else graph_record(v) if is_graph(v) else v for v in values]
    arrays = [v for v in values if isinstance(v, np.ndarray)]
    if arrays and len(arrays) == len(values) and arrays[0].ndim and len({a.shape for a in arrays}) == 1:
        return np.stack(arrays)
    if any(a.ndim > 1 for a in arrays) or _pictures(values) or _frames(values):
        kept = np.empty(len(values), dtype=object)
        for row, value in enumerate(values):
            kept[row] = value
        return kept
    try:
        return pa.chunked_array([pa.array(values, from_pandas=False)])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise UserError(f"{who}: {_mixture(values) or error}.") from error


def _is_sound(value: Any) -> bool:
    """Whether a value is (samples, rate)."""
    if not isinstance(value, tuple) or len(value) != 2 or isinstance(value[0], str | bytes):
        return False
    return np.ndim(value[0]) > 0 and isinstance(value[1], int | np.integer)


def _record(sound: tuple[Any, int]) -> dict[str, Any]:
    """Samples and their rate as `datasets` has them."""
    samples = np.asarray(sound[0])
    return {"array": samples if samples.ndim == 1 else samples.tolist(), "sampling_rate": int(sound[1])}


def _pictures(values: Sequence[Any]) -> bool:
    """Whether there are pictures of PIL, which Arrow does not know."""
    from PIL import Image

    return any(isinstance(v, Image.Image) for v in values)


def _frames(values: Sequence[Any]) -> bool:
    """Whether values are lists of pictures or of arrays of several axes: the frames of videos."""
    lists = [v for v in values if isinstance(v, list | tuple) and len(v)]
    return bool(lists) and (
        _pictures(lists[0]) or any(isinstance(one, np.ndarray) and one.ndim > 1 for one in lists[0])
    )


def _mixture(values: Sequence[Any]) -> str:
    """Names the first value and the first of another kind; "" if there is none."""
    kinds = [(row, word(v)) for row, v in enumerate(values) if v is not None]
    other = next(((row, kind) for row, kind in kinds if kind != kinds[0][1]), None)
    if other is None:
        return ""
    return f"holds {kinds[0][1]}, but {other[1]} in row {other[0]} (counted from 0); expected one kind of value"


def word(value: Any) -> str:
    """The kind of a value, as messages call it."""
    if isinstance(value, bool):
        return "true or false"
    names = (
        (int | float, "numbers"),
        (str, "strings"),
        (bytes, "bytes"),
        (Mapping, "records"),
        (list | tuple, "lists"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def _tensors(values: pa.ChunkedArray) -> Column:
    """Arrow's fixed-shape tensors as one array, for their shape is in the type; the rest plain."""
    if isinstance(values.type, pa.FixedShapeTensorType) and not values.null_count:
        joined = values.combine_chunks()
        parts = joined.chunks if isinstance(joined, pa.ChunkedArray) else [joined]
        return np.concatenate([part.to_numpy_ndarray() for part in parts])
    return plain(values)
