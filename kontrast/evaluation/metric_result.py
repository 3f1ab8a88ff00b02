"""Evidence: a number a judge found on test rows, and what its value means."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class MetricResult:
    """A number, and what is known of it.

    rows: how many test rows it rests on: those that ask, where some ask and others answer.
    entries: (rows,) whose mean it is; None where it is no mean (a clustering, a shape).
    alone: whether the entry of a row would be the same without the other test rows; where it is not (rows are each
    other's candidates), only part of the rows, judged anew, tells how far the number may be off.
    chance: what knowing nothing would score, where that is known. bounds: the least and largest value there can be.
    field: the field judged, or "one>other" for a pair, None for whole rows.
    across: compares rows of two fields, which says something of an encoder only if its fields share one space.
    """

    value: float
    rows: int
    entries: np.ndarray | None = None
    alone: bool = False
    chance: float | None = None
    higher_is_better: bool = True
    bounds: tuple[float, float] = (-np.inf, np.inf)
    field: str | None = None
    across: bool = False

    @classmethod
    def mean(
        cls,
        entries: np.ndarray,
        *,
        alone: bool = False,
        chance: float | None = None,
        higher_is_better: bool = True,
        bounds: tuple[float, float] = (0, 1),
        field: str | None = None,
        across: bool = False,
    ) -> "MetricResult":
        """Of an entry a row."""
        entries = entries.astype(np.float64)
        value = float(entries.mean())
        return cls(value, len(entries), entries, alone, chance, higher_is_better, bounds, field, across)
