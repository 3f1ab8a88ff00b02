"""Result of an evaluator: a number and what its value means."""

from dataclasses import dataclass

import numpy as np

RAW = "raw features"


@dataclass(frozen=True, eq=False)
class MetricResult:
    """Number with what is known about it.

    Attributes:
        value: The number.
        rows: Test rows that it rests on; the queries, if only some rows query.
        entries: (rows,) values whose mean it is; None if it is not a mean (a clustering, a shape).
        alone: Whether each entry is independent of the other test rows. If not (rows are each other's candidates), the
            interval comes from evaluating parts of the rows again.
        chance: Value without any knowledge; None if unknown.
        higher_is_better: Whether larger values are better. Default True.
        bounds: Smallest and largest possible value. Default unbounded.
        field: Field evaluated, or "one>other" for a pair; None for whole rows.
        across: Whether it compares rows of two fields, which is only meaningful if the fields share one space.
        raw: What the baseline without learning is, in words. Default: raw features.
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
    raw: str = RAW

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
        """Result whose value is the mean of one entry per row.

        Args:
            entries: (rows,) values.
            alone: As the attribute.
            chance: As the attribute.
            higher_is_better: As the attribute.
            bounds: As the attribute. Default (0, 1).
            field: As the attribute.
            across: As the attribute.
        """
        entries = entries.astype(np.float64)
        value = float(entries.mean())
        return cls(value, len(entries), entries, alone, chance, higher_is_better, bounds, field, across)
