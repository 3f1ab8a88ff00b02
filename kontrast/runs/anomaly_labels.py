"""Known anomalies of rows or instants, from a column of the data."""

from typing import Any

import numpy as np

from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.instant_table import InstantTable
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.sources.open_source import open_frame


def labels_of(
    data: object,
    column: str,
    dataset: Dataset,
    instants: InstantTable | None,
    *,
    stride: int = 1,
) -> np.ndarray:
    """Reads which rows or instants are anomalies.

    Args:
        data: What the dataset was read from.
        column: Its column: a number or true/false per row, or a list of them per instant; 0 and missing are normal.
        dataset: The usable rows.
        instants: The scored instants; None if rows are scored.
        stride: Instants that a score is about; it is an anomaly if one of them is.

    Returns:
        (M,) bool.

    Raises:
        UserError: No such column, or its cells do not fit.
    """
    frame = open_frame(data, cache=None)
    if column not in frame.columns:
        raise UserError(f"{frame.name} has no column '{column}'{did_you_mean(column, list(frame.columns))}")
    rows = dataset.source_rows(len(frame))
    cells = frame.cells(column, rows)
    if instants is None:
        return np.array([_flags(cell, f"{frame.name}, column '{column}', row {row}", 0) > 0 for row, cell in
                         zip(rows, cells, strict=True)], dtype=bool)  # fmt: skip
    found = np.zeros(len(instants), bool)
    for number in np.unique(instants.row):
        who = f"{frame.name}, column '{column}', row {rows[number]}"
        flags = _flags(cells[number], who, 1) > 0
        shape = np.shape(frame.cells(instants.field, [int(rows[number])])[0])
        if len(flags) not in shape:
            raise UserError(f"{who}: {len(flags):,} labels of a series of shape {shape}; expected one per instant.")
        begin, end = np.searchsorted(instants.row, [number, number + 1])
        at = instants.instant[begin:end]
        padded = np.pad(flags, (0, stride))
        found[begin:end] = np.stack([padded[at + k] for k in range(stride)]).any(0)
    return found


def _flags(cell: Any, who: str, axes: int) -> np.ndarray:
    """Numbers of a cell, 0 if missing.

    Raises:
        UserError: It holds something else.
    """
    try:
        found = np.asarray(0.0 if cell is None else cell, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{who} holds {str(cell)[:40]!r}; expected 0 or 1.") from error
    if found.ndim != axes:
        kind = "a list with 0 or 1 per instant" if axes else "0 or 1"
        raise UserError(f"{who} holds {'a list' if found.ndim else 'one value'}; expected {kind}.")
    return np.nan_to_num(found)
