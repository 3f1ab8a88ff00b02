"""Which of two contestants is better on the same test rows, with an interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2_000
BETTER, SAME, WORSE = "BETTER", "SAME", "WORSE"


@dataclass(frozen=True)
class Difference:
    """How much more a contestant gets right than another, and where 95 % of resampled test rows put it."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """BETTER or WORSE where the interval leaves out 0, else SAME."""
        return BETTER if self.low > 0 else WORSE if self.high < 0 else SAME

    def __str__(self) -> str:
        return f"{100 * self.mean:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"


def row_scores(measures: dict[str, np.ndarray]) -> np.ndarray:
    """One number per test row: the mean of what was measured of it."""
    return np.mean(list(measures.values()), axis=0)


def compare(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], seed: int = 0) -> Difference:
    """The paired difference of the scores of the same test rows.

    Args:
        ours: One array of row scores per seed.
        theirs: The same of the other contestant; it may have another number of seeds.
        seed: Of the resampling.

    Returns:
        The mean difference with a 95 % bootstrap interval over test rows, and over seeds where there are several.
    """
    one, two = np.stack(list(ours)), np.stack(list(theirs))
    if one.shape[1] != two.shape[1]:
        raise ValueError(f"{one.shape[1]} and {two.shape[1]} test rows; a paired difference needs the same rows")
    draw, rows = np.random.default_rng(seed), one.shape[1]
    often = draw.multinomial(rows, np.full(rows, 1 / rows), DRAWS) / rows  # how often each row is drawn
    scores = []
    for x in (one, two):
        seeds = draw.multinomial(len(x), np.full(len(x), 1 / len(x)), DRAWS) / len(x)
        scores.append(((often @ x.T) * seeds).sum(1))
    low, high = np.quantile(scores[0] - scores[1], (0.025, 0.975))
    return Difference(float(one.mean() - two.mean()), float(low), float(high))
