"""How far a number may be off on other test rows like these, alone or beside another encoder's: by judging halves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kontrast.core import random_streams
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult

# Splits of the test rows into halves: a width is then known to a fifth or a fourth, which Student's t allows for. With
# many rows each split costs more, and intervals are narrow anyway.
SPLITS, SPLITS_OF_MANY, MANY = 12, 8, 100
FEWEST = 8  # rows: halves of fewer say nothing


@dataclass(frozen=True)
class Found:
    """A number of one encoder, and what it differs by between halves of the test rows.

    swings: (splits,) half of that difference, which has the variance of the number on all rows; NaN where a half could
    not be judged. None where entries stand alone, and say it themselves.
    """

    evidence: MetricResult
    swings: np.ndarray | None = None


def find_all(
    scores: Sequence[Evaluator], train: EmbeddingTable, test: EmbeddingTable, seed: int = 0
) -> dict[str, Found]:
    """Every number of those judges. Equal seeds split tests of equal length alike.

    A judge whose rows depend on each other is asked again on both halves of every split. Drawing its rows again as they
    are, as a bootstrap does, would hold the candidates, or the clusters, fixed.
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
    """Low and high of the number on other test rows like these; encoder and train rows stay. NaN: too few rows to tell.

    Between bounds it is Wilson's interval ("Probable inference, the law of succession, and statistical inference", JASA
    1927) with as many rows as would make a share of hits vary as much: near a bound it stays inside and leans inwards,
    and where all rows agree it still says what so few of them can. Without bounds, value -+ t * deviation.
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
    one = deviation**2 / room if room > 0 else 1 / evidence.rows  # of as many rows as a share of hits would have
    shrink = 1 / (1 + t**2 * one)
    middle, reach = shrink * (m + t**2 * one / 2), shrink * t * np.sqrt(one * m * (1 - m) + (t * one / 2) ** 2)
    first, last = (low + (high - low) * end for end in (middle - reach, middle + reach))
    return float(min(first, evidence.value)), float(max(last, evidence.value))


def apart(one: Found, two: Found, *, level: float = 0.95) -> tuple[float, float, float]:
    """(`two` less `one`, low, high) on other test rows, the same for both; NaN where there are too few to tell.

    Student's t over the differences: of the entries of each row, or of what both differ by between the same halves,
    which knows no bias of small samples, since that is the same on both sides.
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
    """(splits,) half the difference of every two parts, as it would be of two halves of all rows at the whole's value.

    Where judges ask only some rows, or rows of a label that stand alone in a half cannot ask, halves have more or fewer
    askers than half of the whole: the variance goes by their number. Fewer candidates make finding easier, and what is
    nearer to its bound varies less: a share m varies as m (1 - m).
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
    """The standard deviation of a number, and how many of them reach as far as that level; NaN: too few rows.

    Never less than if the entries stood alone: where hardly any row misses, halves with half the candidates show none.
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
