"""Means and differences over several seeds, with intervals that cover other rows and other seeds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kontrast.core.errors import UserError
from kontrast.evaluation.intervals import Found, apart, interval


def mean_over_seeds(found: Sequence[Found], *, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of a number over runs that differ in their seed alone, with its interval.

    The half-widths over rows and over seeds add in squares. With one seed the interval is that over rows.

    Args:
        found: The number of each run, on the same test rows.
        level: Coverage. Default 0.95.

    Returns:
        Mean, low and high; low and high are NaN if there are too few rows.

    Reference:
        Zou, Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 2008 (half-widths
        of a sum of independent estimates add in squares).
    """
    whole = averaged(found)
    value, (least, most) = whole.evidence.value, whole.evidence.bounds
    low, high = _widened(value, *interval(whole, level), [one.evidence.value for one in found], level)
    return value, max(low, least), min(high, most)


def difference_over_seeds(
    one: Sequence[Found], two: Sequence[Found], *, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean paired difference of two settings over seeds, with its interval over rows and seeds.

    Differences are paired twice: by seed, and by test row, whose mean over seeds is compared.

    Args:
        one: Results that are subtracted, one per seed.
        two: Results they are subtracted from, with the same seeds in the same order.
        level: Coverage. Default 0.95.

    Returns:
        Mean of `two` minus `one`, low and high; low and high are NaN if there are too few rows.

    Raises:
        UserError: The numbers of seeds or rows differ.
    """
    if len(one) != len(two):
        raise UserError(f"a paired difference needs the same seeds in both; found {len(one)} and {len(two)}.")
    value, low, high = apart(averaged(one), averaged(two), level=level)
    each = [b.evidence.value - a.evidence.value for a, b in zip(one, two, strict=True)]
    return value, *_widened(value, low, high, each, level)


def averaged(found: Sequence[Found]) -> Found:
    """Mean of a number over runs on the same test rows, with that of its entries and of its variation between halves.

    Raises:
        UserError: The results rest on different numbers of rows, or there are none.
    """
    rows = {one.evidence.rows for one in found}
    if len(rows) != 1:
        raise UserError(f"a mean over seeds needs the same test rows in all; found numbers of rows {sorted(rows)}.")
    first = found[0].evidence
    entries = [one.evidence.entries for one in found if one.evidence.entries is not None]
    swings = [one.swings for one in found if one.swings is not None]
    chances = [one.evidence.chance for one in found if one.evidence.chance is not None]
    every = len(found)
    evidence = replace(
        first,
        value=float(np.mean([one.evidence.value for one in found])),
        entries=np.mean(entries, axis=0) if len(entries) == every else None,
        chance=float(np.mean(chances)) if len(chances) == every else None,
    )
    return Found(evidence, np.mean(swings, axis=0) if len(swings) == every else None)


def _widened(value: float, low: float, high: float, each: Sequence[float], level: float) -> tuple[float, float]:
    """Low and high of an interval over rows, widened by the variation over seeds."""
    if len(each) < 2 or not np.isfinite(high - low):
        return low, high
    seeds = half_width(each, level)
    return float(value - np.hypot(value - low, seeds)), float(value + np.hypot(high - value, seeds))


def half_width(each: Sequence[float], level: float = 0.95) -> float:
    """Half the width of Student's interval of a mean over seeds, from one number per seed; at least two."""
    from scipy.special import stdtrit  # scipy.stats takes 10 times as long to import

    return float(stdtrit(len(each) - 1, (1 + level) / 2) * np.std(each, ddof=1) / np.sqrt(len(each)))
