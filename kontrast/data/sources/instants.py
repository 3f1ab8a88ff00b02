"""Times of a long table: the usual step, and the place of each reading within its series.

Axis letters: N readings, sorted by series and time; S series.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Sampling = Literal["grid", "elapsed", "order"]

MOSTLY_GAPS = 10  # instants per reading beyond which a grid is nearly all gaps
_LOOKED_AT = 1_000_000  # differences from which the step is found
_USUAL = 0.1  # share of the differences that makes the commonest the step; else the middle one is
_OFF = 0.25  # distance from a whole number of steps, in steps, up to which a difference is regular
_NEAR = 4  # steps; longer differences are gaps and regular at any length
_REGULAR = 0.95  # share of regular differences from which times count as regular
_EXACT = 1e-3


@dataclass(frozen=True)
class Rhythm:
    """How far the readings of series lie apart.

    Attributes:
        step: The usual difference of two times.
        regular: Whether nearly all differences are whole numbers of steps.
        low: 5th percentile of the differences.
        high: 95th percentile of the differences.
    """

    step: float
    regular: bool
    low: float
    high: float


@dataclass(frozen=True)
class Placed:
    """Where the readings of series lie.

    Attributes:
        at: (N,) int64, place of each reading in its series.
        rhythm: Of the times; None without times, or if none differ.
        width: Instants per reading that a grid has or would have; None if there was none to try.
    """

    at: np.ndarray
    rhythm: Rhythm | None
    width: float | None


@dataclass(frozen=True)
class Readings:
    """The rows of a long table, sorted by series and time.

    Attributes:
        rows: (N,) their row numbers.
        starts: (S,) first reading of each series.
        times: (N,) float64: seconds if the times are dates, else as they are; counted if there is no column of times.
        left_out: Rows without a series or a time.
    """

    rows: np.ndarray
    starts: np.ndarray
    times: np.ndarray
    left_out: int

    @property
    def counts(self) -> np.ndarray:
        """Readings per series, (S,)."""
        return np.diff(self.starts, append=len(self.rows))


def differences(times: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Time since the reading before in the same series: (N,) float64, NaN for the first reading of a series.

    Args:
        times: (N,) float64.
        starts: (S,) first reading of each series.
    """
    found = np.diff(times, prepend=np.nan)
    found[starts] = np.nan
    return found


def rhythm(gaps: np.ndarray) -> Rhythm | None:
    """Usual step and regularity of series; None if no two readings of a series differ in time.

    The commonest difference is the step if a tenth of all differences equal it, else the middle one; then times that
    are regular up to jitter give its mean.

    Args:
        gaps: (N,) from `differences`.
    """
    some = gaps[gaps > 0]
    if not len(some):
        return None
    some = some[:: -(-len(some) // _LOOKED_AT)]
    low, middle, high = np.percentile(some, [5, 50, 95])
    _, places, counts = np.unique(np.round(some / middle, 4), return_inverse=True, return_counts=True)
    common = int(counts.argmax())
    step = float(np.median(some[places == common])) if counts[common] >= _USUAL * len(some) else float(middle)
    whole = np.rint(some / step)
    good = _regular(some, step)
    regular = bool(good.mean() >= _REGULAR)
    if regular and (np.abs(some / step - whole) < _EXACT).mean() < _REGULAR:
        step = float(some[good].sum() / whole[good].sum())
    return Rhythm(step, regular, float(low), float(high))


def places(times: np.ndarray, starts: np.ndarray, step: float | None) -> np.ndarray:
    """Place of each reading in its series: (N,) int64, from 0.

    Readings of one time share a place. A regular series counts its differences in whole steps, so that jitter and a
    clock that runs a little slow add no gap; the readings of another one go to the nearest step after its first time.

    Args:
        times: (N,) float64.
        starts: (S,) first reading of each series.
        step: The length of a step; None for one step per time.
    """
    gaps = differences(times, starts)
    gaps[starts] = 0.0
    if step is None:
        return _counted((gaps > 0).astype(np.int64), starts)
    regular = np.logical_and.reduceat((gaps == 0) | _regular(gaps, step), starts)
    by_gap = _counted(np.rint(np.minimum(gaps / step, 2.0**36)).astype(np.int64), starts)
    if regular.all():
        return by_gap
    counts = np.diff(starts, append=len(times))
    since = times - np.repeat(times[starts], counts)
    by_time = np.rint(np.minimum(since / step, 2.0**60)).astype(np.int64)
    return np.where(np.repeat(regular, counts), by_gap, by_time)


def _regular(gaps: np.ndarray, step: float) -> np.ndarray:
    """Which differences are a whole number of steps, up to jitter."""
    ratio = gaps / step
    whole = np.rint(ratio)
    return (whole >= 1) & ((np.abs(ratio - whole) <= _OFF) | (whole > _NEAR))


def _counted(jumps: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Running sum of the jumps, from 0 at the start of each series."""
    total = jumps.cumsum()
    return total - np.repeat(total[starts], np.diff(starts, append=len(jumps)))
