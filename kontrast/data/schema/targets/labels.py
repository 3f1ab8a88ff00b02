"""Several labels per row (genres of a film), for relations that count shared labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kontrast.data.schema.missing_values import missing
from kontrast.data.schema.target import Vectors, class_name
from kontrast.data.tables.column_reader import read_cells
from kontrast.data.tables.frame import Column

_BETWEEN = ("|", ";", ",")


class Labels(Vectors):
    """Labels of a row, in any of four forms.

    These are a list of classes; a string of classes separated by |, ; or ,; a list with 1 or 0 per class (multi-hot);
    or a yes/no column per class.

    The key is (B, C) float32 of 0 and 1, with a column per class of the training rows; zeros in rows without labels and
    in rows that do not train.
    """

    recipe = "several_labels"
    flags = True

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """Learns the ordered classes of the training rows and the number of rows of each."""
        held = [[] if missing(cell) else cell for cell in read_cells(cells, np.arange(len(cells)))]
        self._names, values = _multi_hot(held) or self._listed(held)
        self.keep(values, rows, ids)

    def _listed(self, held: list[Any]) -> tuple[list[str], np.ndarray]:
        between = next((b for b in _BETWEEN if any(isinstance(cell, str) and b in cell for cell in held)), None)
        words = []
        for cell in held:
            parts = cell.split(between) if isinstance(cell, str) else cell
            parts = parts if isinstance(parts, list | tuple | np.ndarray) else [parts]
            words.append({class_name(part, self._who) for part in parts} - {""})
        names = sorted(set().union(*words))
        place = {name: at for at, name in enumerate(names)}
        values = np.zeros((len(held), len(names)), np.uint8)
        for row, found in enumerate(words):
            values[row, [place[word] for word in found]] = 1
        return names, values

    def facts(self) -> Mapping[str, Any]:
        """Number of `classes`, their `names` and `counts` (training rows of each)."""
        return {"classes": len(self._names), "names": self._names, "counts": self._values.sum(0, np.int64).tolist()}


def _multi_hot(held: list[Any]) -> tuple[list[str], np.ndarray] | None:
    """Parses lists of 0 and 1 of equal length; None for other cells.

    Returns:
        The names 0, 1, 2, ... of the classes, and (T, C) uint8.
    """
    filled = [np.asarray(cell) for cell in held if not isinstance(cell, str) and np.size(cell)]
    if not filled or len({array.shape for array in filled}) > 1 or filled[0].ndim != 1 or len(filled[0]) < 2:
        return None
    if filled[0].dtype.kind not in "biuf" or not all(((array == 0) | (array == 1)).all() for array in filled):
        return None
    values = np.stack([np.asarray(cell, np.uint8) if np.size(cell) else np.zeros_like(filled[0]) for cell in held])
    return [str(at) for at in range(values.shape[1])], values.astype(np.uint8)
