"""Confidence intervals of numbers and of paired differences, from halves of the test rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kontrast.core import random_streams
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult

# Splits into halves: enough to know a width to within a fifth or a quarter, which Student's t accounts for. Fewer with
# many rows, where each split costs more and intervals are narrow anyway.
SPLITS, SPLITS_OF_MANY, MANY = 12, 8, 100
FEWEST = 8  # rows: halves of fewer are not informative


@dataclass(frozen=True)
class Found:
    """Number of one encoder with its variation between halves of the test rows.

    Attributes:
        evidence: The number on all test rows.
        swings: (splits,) half the difference of both halves, which has the variance of the number on all rows; NaN if a
            half could not be evaluated. None if entries are independent, since they give the variance themselves.
    """

    evidence: MetricResult
    swings: np.ndarray | None = None


def find_all(
    scores: Sequence[Evaluator], train: EmbeddingTable, test: EmbeddingTable, seed: int = 0
) -> dict[str, Found]:
    """Runs evaluators and measures how much their numbers vary between halves of the test rows.

    An evaluator whose rows depend on each other is run again on both halves of every split. A bootstrap of its rows
    would keep the candidates, or the clusters, fixed.

    Args:
        scores: Evaluators.
        train: Embeddings of the training rows.
        test: Embeddings of the test rows.
        seed: Seed of the splits; equal seeds split tables of equal length alike. Default 0.

    Returns:
        Results by name.
    """
    rng = np.random.default_rng(random_streams.folded(seed))
    splits = SPLITS if len(test) < MANY else min(SPLITS, SPLITS_OF_MANY)
    sides = [rng.permutation(len(test)) < len(test) // 2 for _ in range(splits)]
    halves = [test.take(part) for side in sides for part in (side, ~side)] if len(test) >= FEWEST else []
    found: dict[str, Found] = {}
    for score in scores:
        numbers = score(train, test)
        part, alone = score.for_parts(), all(one.alone for one in numbers.values())
        parts = [part(train, half) for half in ([] if alone else halves)]
        found |= {
            name: Found(one, None if one.alone else _swings(one, [numbers.get(name) for numbers in parts]))
            for name, one in numbers.items()
        }
    return found


def interval(found: Found, level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a number over other test rows, for this encoder and train set.

    With bounds it is Wilson's interval, with the number of rows at which a share of hits would vary as much: it stays
    within the bounds, leans inwards near them, and has a width even if all rows agree. Without bounds it is value -+
    t * deviation.

    Args:
        found: The number and its variation.
        level: Coverage. Default 0.95.

    Returns:
        Low and high; NaN if there are too few rows.

    Reference:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    evidence = found.evidence
    deviation, t = _deviation(evidence.entries, found.swings, level)
    low, high = evidence.bounds
    if not np.isfinite(deviation):
        return np.nan, np.nan
    if not np.isfinite(high - low):
        return max(evidence.value - t * deviation, low), min(evidence.value + t * deviation, high)
    m = min(max((evidence.value - low) / (high - low), 0.0), 1.0)
    room = m * (1 - m) * (high - low) ** 2
    one = deviation**2 / room if room > 0 else 1 / evidence.rows  # 1 / rows of an equally variable share of hits
    shrink = 1 / (1 + t**2 * one)
    middle, reach = shrink * (m + t**2 * one / 2), shrink * t * np.sqrt(one * m * (1 - m) + (t * one / 2) ** 2)
    first, last = (low + (high - low) * end for end in (middle - reach, middle + reach))
    return float(min(first, evidence.value)), float(max(last, evidence.value))


def apart(one: Found, two: Found, *, level: float = 0.95) -> tuple[float, float, float]:
    """Paired difference of two encoders over the same test rows, with its interval.

    Student's t over the differences of row entries, or of both encoders' variation between the same halves; a
    small-sample bias cancels, since it is the same on both sides.

    Args:
        one: Result that is subtracted.
        two: Result it is subtracted from.
        level: Coverage. Default 0.95.

    Returns:
        `two` minus `one`, low and high; low and high are NaN if there are too few rows.

    Raises:
        UserError: The results rest on different numbers of rows.
    """
    first, second = one.evidence, two.evidence
    if first.rows != second.rows:
        raise UserError(f"a paired difference needs the same rows in both; found {first.rows:,} and {second.rows:,}.")
    value = second.value - first.value
    entries = None if first.entries is None or second.entries is None else second.entries - first.entries
    swings = None if one.swings is None or two.swings is None else two.swings - one.swings
    deviation, t = _deviation(entries, swings, level)
    return value, value - t * deviation, value + t * deviation


def _swings(whole: MetricResult, parts: Sequence[MetricResult | None]) -> np.ndarray:
    """(splits,) half the difference of both halves, rescaled to all rows.

    If an evaluator queries only some rows, or rows whose label is unique within a half cannot query, halves have more
    or
    fewer queries than half of the whole; the variance is scaled by their number. Fewer candidates make retrieval
    easier,
    and a share m varies as m (1 - m), so the variance is also scaled to the distance from the bounds.
    """
    if not parts:
        return np.full(1, np.nan)
    values = np.array([np.nan if part is None else part.value for part in parts]).reshape(-1, 2)
    rows = np.array([0 if part is None else part.rows for part in parts]).reshape(-1, 2)
    swings = (values[:, 0] - values[:, 1]) / 2 * np.sqrt(rows.sum(1) / whole.rows)
    low, high = whole.bounds
    known = np.isfinite(swings)
    if known.any() and np.isfinite(high - low):
        middle = values[known].mean()
        if low < middle < high:
            swings *= np.sqrt(max((whole.value - low) * (high - whole.value), 0) / ((middle - low) * (high - middle)))
    return swings


def _deviation(entries: np.ndarray | None, swings: np.ndarray | None, level: float) -> tuple[float, float]:
    """Standard deviation and t quantile; NaN if there are too few rows.

    Never less than for independent entries: if hardly any row misses, halves with half the candidates show no
    variation.
    """
    from scipy.special import stdtrit  # scipy.stats takes 10 times as long to import

    n = 0 if entries is None else len(entries)
    known = np.zeros(0) if swings is None else swings[np.isfinite(swings)]
    if swings is not None and len(known) <= len(swings) // 2:
        return np.nan, np.nan
    ways = []
    if entries is not None and n > 1:
        ways.append((float(entries.std(ddof=1) / np.sqrt(n)), float(stdtrit(n - 1, (1 + level) / 2))))
    if len(known):
        ways.append((float(np.sqrt(np.mean(known**2))), float(stdtrit(len(known), (1 + level) / 2))))
    return max(ways, key=lambda way: way[0] * way[1], default=(np.nan, np.nan))
