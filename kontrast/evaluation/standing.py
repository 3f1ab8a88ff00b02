"""Where the trained encoder stands against a baseline, derived from intervals."""

from collections.abc import Mapping
from typing import Any, Literal

Standing = Literal["better", "worse", "even"]
Score = Mapping[str, Any]


def standing(score: Score, baseline: Literal["raw", "untrained"]) -> Standing | None:
    """Where the trained encoder stands against a baseline; None where there is no such baseline.

    Better or worse only if the interval of the `paired` difference over the same test rows ({"raw": {"value", "low",
    "high"}}, trained minus baseline) excludes zero, or, where a score brings none, if both intervals do not overlap.
    Else even.
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
    """`kNN accuracy (image)`; a name that says its field already is left alone."""
    field = score.get("field")
    return f"{score['name']} ({field})" if field and str(field) not in str(score["name"]) else str(score["name"])


def _bounds(value: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Without an interval nothing can be claimed of it: both bounds None."""
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
