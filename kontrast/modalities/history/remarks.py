"""Lengths of sequences of items, and items that occur once."""

import numpy as np

from kontrast.data.remark import Remark, Rows, percentiles

_RARE = 0.5


def remarks(rows: Rows, limit: int, counts: np.ndarray) -> list[Remark]:
    """A fact on lengths, and a warning if most items occur in one place only.

    Args:
        rows: The sample.
        limit: Items that the encoder reads.
        counts: How often each item occurs in the training rows.
    """
    cut = float((rows.lengths > limit).mean()) if len(rows.lengths) else 0.0
    long = percentiles(rows.lengths)
    words = (
        f"{rows.field}: {long['median']:,} items in the middle, {long['p95']:,} at 95 %, {long['most']:,} at most; the "
        f"encoder reads the last {limit}, which cuts {cut:.1%} of the rows."
    )
    found = [Remark("lengths", "fact", words, {"field": rows.field, "items": long, "limit": limit, "cut": cut})]
    once = float((counts <= 1).mean()) if len(counts) else 0.0
    if once > _RARE:
        words = (
            f"{rows.field}: {once:.0%} of the {len(counts):,} items occur once, so nothing can be learned of what goes "
            "with them. Leave rare items out, or name groups of items instead."
        )
        found.append(Remark("rare items", "warning", words, {"field": rows.field, "once": once}))
    return found
