"""Lengths of series, and the share that is averaged down."""

import numpy as np

from kontrast.data.remark import Remark, Rows, percentiles

_MANY = 0.1
_TAIL = 20


def remarks(rows: Rows, limit: int) -> list[Remark]:
    """A fact on lengths, or what is wrong with them.

    Args:
        rows: The sample.
        limit: Steps that are kept of a series.
    """
    if not len(rows.cells):
        return []
    whole = np.array([max(np.shape(cell)) for cell in rows.cells])
    cut = float((whole > limit).mean())
    steps, kept = percentiles(whole), rows.lengths
    numbers = {"field": rows.field, "steps": steps, "limit": limit, "cut": cut, "looked at": len(whole)}
    if cut > _MANY:
        words = (
            f"{rows.field}: {steps['median']:,} steps at the median, {steps['most']:,} at most; {cut:.0%} are longer "
            f"than {limit} and averaged down to that, which blurs what is fast: --set "
            f"views.{rows.field}.length={2 * limit}."
        )
        return [Remark("truncated", "warning", words, numbers)]
    if kept.max() > _TAIL * np.median(kept):
        words = (
            f"{rows.field}: the longest series has {kept.max() / np.median(kept):.0f} times the steps of the middle "
            "one, and a batch is padded to its longest. Cut long ones into pieces if they are slow."
        )
        return [Remark("long tail", "note", words, numbers, np.argsort(-kept))]
    words = f"{rows.field}: {steps['median']:,} steps at the median, {steps['most']:,} at most"
    return [Remark("lengths", "fact", words, numbers)]
