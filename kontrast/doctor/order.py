"""Time order: held-out rows older than training rows."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding

_MOMENTS = "dates or times"  # the reason that field detection gives for such columns


class Order(Examination):
    """Finds splits that mix past and future, which are easier than predicting later rows."""

    place = 7

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a note per date column whose held-out rows do not all come last."""
        held_out, found = case.data.held_out, []
        if not held_out.any() or held_out.all():
            return []
        for name in case.data.metadata.column_names:
            if case.fields[name].why != _MOMENTS:
                continue
            moments = _moments(case.data.metadata[name])
            known = np.array([moment is not None for moment in moments])
            if known.sum() < 10:
                continue
            order = np.argsort(np.argsort(np.array([str(m) for m in moments])[known], kind="stable"), kind="stable")
            last = order[case.data.training[known]].max(initial=-1)
            before = int((order[held_out[known]] < last).sum())
            if before:
                words = (
                    f"column '{name}': {before:,} held-out rows are older than the newest training row. If the encoder "
                    "is to serve rows that come later, hold out the latest ones with a split column; else ignore this."
                )
                found.append(Finding("time", "note", words, {"column": name, "older": before}))
        return found


def _moments(column: pa.ChunkedArray) -> list[Any]:
    """Values that sort chronologically as text (year first); all None if the column has others."""
    if types.is_temporal(column.type):
        return column.to_pylist()
    cells = column.to_pylist()
    year_first = [c for c in cells if c is not None and str(c)[:4].isdigit()]
    return cells if len(year_first) == len(cells) - cells.count(None) else [None] * len(cells)
