"""Lengths of texts, and the share that is truncated."""

from typing import Any

import numpy as np

from kontrast.data.remark import Remark, Rows, percentiles

_MANY = 0.1


def remarks(rows: Rows, limit: int) -> list[Remark]:
    """A fact on lengths, or a warning if many texts are cut.

    Args:
        rows: The sample.
        limit: Tokens that the encoder reads.
    """
    cut = float((rows.lengths >= limit).mean()) if len(rows.lengths) else 0.0
    characters = percentiles(np.array([_characters(cell) for cell in rows.cells]))
    words = (
        f"{rows.field}: {characters['median']:,} characters in the middle, {characters['p95']:,} at 95 %, "
        f"{characters['most']:,} at most; the encoder reads the first {limit} tokens"
    )
    looked_at = len(rows.cells)
    numbers = {"field": rows.field, "characters": characters, "limit": limit, "cut": cut, "looked at": looked_at}
    if cut <= _MANY:
        return [Remark("lengths", "fact", f"{words}, which cuts {cut:.1%} of the texts.", numbers)]
    words = (
        f"{words}, which cuts {cut:.0%} of the texts. If what matters comes late, raise it, at about twice the time: "
        f"--set views.{rows.field}.length={2 * limit}."
    )
    return [Remark("truncated", "warning", words, numbers, np.flatnonzero(rows.lengths >= limit))]


def _characters(cell: Any) -> int:
    """Characters of a cell, of several texts with one between two."""
    cells = cell if isinstance(cell, list | np.ndarray) else [cell]
    texts = [str(one) for one in cells if one is not None and str(one).strip()]
    return sum(map(len, texts)) + max(len(texts) - 1, 0)
