"""Comparison of the trained encoder with a baseline, derived from intervals."""

from collections.abc import Mapping
from typing import Any, Literal

Standing = Literal["better", "worse", "even"]
Score = Mapping[str, Any]


def standing(score: Score, baseline: Literal["raw", "untrained"]) -> Standing | None:
    """Whether the trained encoder is better, worse or even against a baseline.

    Better or worse only if the interval of the `paired` difference over the same test rows (trained minus baseline)
    excludes zero; if a score has no paired difference, only if both intervals do not overlap.

    Args:
        score: Row of the table that `evaluate` returns.
        baseline: Which one to compare with.

    Returns:
        "better", "worse" or "even"; None if the score has no such baseline.
    """
    base = score.get(baseline)
    if base is None or base.get("value") is None:
        return None
    paired = (score.get("paired") or {}).get(baseline)
    if paired is not None:
        low, high = _bounds(paired)
        return _side(low, high, 0.0, 0.0, score)
    return _side(*_bounds(score["trained"]), *_bounds(base), score)


def label(score: Score) -> str:
    """Name with its field, `kNN accuracy (image)`; unchanged if the name already contains the field."""
    field = score.get("field")
    return f"{score['name']} ({field})" if field and str(field) not in str(score["name"]) else str(score["name"])


def _bounds(value: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Low and high; None without an interval, so that nothing is claimed."""
    return value.get("low"), value.get("high")


def _side(
    low: float | None, high: float | None, base_low: float | None, base_high: float | None, score: Score
) -> Standing:
    if low is None or high is None or base_low is None or base_high is None:
        return "even"
    up = score.get("higher_is_better", True)
    if low > base_high:
        return "better" if up else "worse"
    if high < base_low:
        return "worse" if up else "better"
    return "even"
