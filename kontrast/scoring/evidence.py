"""Evidence: what a number was computed from, row by row, so that it can be computed again on other draws of rows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True, eq=False)
class Evidence:
    """Arrays with one entry a test row, and the function from (some of) their rows to the number.

    statistic: that function; None: the mean of the only array.
    chance: what knowing nothing would score, where that is known. bounds: the least and largest value there can be.
    field: the field judged, or "one>other" for a pair, None for whole rows.
    across: compares rows of two fields, which says something of an encoder only if its fields share one space.
    draws: half-samples at most, for a statistic that is no mean: 50 of them tell a standard deviation to 10 %.
    """

    arrays: tuple[np.ndarray, ...]
    statistic: Callable[..., float] | None = None
    chance: float | None = None
    higher_is_better: bool = True
    bounds: tuple[float, float] = (-np.inf, np.inf)
    field: str | None = None
    across: bool = False
    draws: int = 50

    def __len__(self) -> int:
        return len(self.arrays[0])

    @cached_property
    def value(self) -> float:
        """The number itself, on all rows."""
        return self._on(slice(None))

    def interval(self, draws: int = 200, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
        """Low and high of the number over resamples of the test rows; encoder, train rows and clusters stay.

        Means: percentiles of the bootstrap. Any other statistic: value -+ z * (standard deviation over halves drawn
        without replacement). A bootstrap sees every row about twice, which lifts NMI and lowers a rank; the variance
        over halves, (1 - 1/2) s^2 / (n/2), is that of all n rows, and centring on the value drops what half the rows
        shift. NaN where there are too few rows to tell.
        """
        n = len(self)
        if n < (2 if self.statistic is None else 8):
            return np.nan, np.nan
        rng = np.random.default_rng(seed)
        if self.statistic is None:
            drawn = [self._on(rng.integers(n, size=n)) for _ in range(draws)]
            low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        else:
            halves = [self._on(np.sort(rng.permutation(n)[: n // 2])) for _ in range(min(draws, self.draws))]
            reach = NormalDist().inv_cdf((1 + level) / 2) * float(np.std(halves, ddof=1))
            low, high = np.clip([self.value - reach, self.value + reach], *self.bounds)
        return float(low), float(high)

    def _on(self, rows: np.ndarray | slice) -> float:
        arrays = [array[rows] for array in self.arrays]
        return float(arrays[0].mean(dtype=np.float64) if self.statistic is None else self.statistic(*arrays))
