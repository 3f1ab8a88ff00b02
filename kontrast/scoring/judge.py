"""judge: every number of the trained encoder, with its interval, beside that of raw features and untrained encoder."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kontrast.core.bank import Bank
from kontrast.core.errors import UserError
from kontrast.scoring.evidence import Evidence
from kontrast.scoring.score import Score

Found = dict[str, Evidence]


def judge(scores: Sequence[Score], banks: Mapping[str, tuple[Bank, Bank]], seed: int = 0) -> list[dict[str, Any]]:
    """A table of plain JSON values, one row a number, led by what the trained banks have.

    banks: "trained" and, where there are, "untrained" and "raw" -> (train, test). A row: score, name, field (None:
    whole rows; "one>other": a pair), trained, untrained, raw (each {"value", "low", "high"} or None where it cannot
    be said), rows (test rows judged), chance (None where unknown), higher_is_better, reason (None). A judge that does
    not apply gives one row, named after it, with its reason and no numbers. Equal seeds resample equal rows, so
    intervals of the three stand on the same draws.
    """
    if "trained" not in banks:
        raise UserError(f"judge got banks of {', '.join(banks) or 'nothing'}; expected 'trained' among them.")
    for name, (train, test) in banks.items():
        if list(train.z) != list(test.z):
            raise UserError(
                f"the {name} banks differ in fields: train has {', '.join(train.z)}, test has {', '.join(test.z)}; "
                "embed both with one run."
            )
    from threadpoolctl import threadpool_limits

    # Thousands of small operations: on busy cores a second thread made the probe 10 times slower, on idle ones no
    # faster.
    with threadpool_limits(1):
        rows = [row for score in scores for row in _rows(score, banks, seed)]
    # what one field finds in another comes first: it is what rows of several fields are trained for
    return sorted(rows, key=lambda row: not (">" in (row["field"] or "") and row["higher_is_better"]))


def _rows(score: Score, banks: Mapping[str, tuple[Bank, Bank]], seed: int) -> list[dict[str, Any]]:
    name = type(score).__name__.lower()
    train, test = banks["trained"]
    found = {which: score(*pair) for which, pair in banks.items()}
    led = {key: one for key, one in found["trained"].items() if test.shared or not one.across}
    if not led:
        reason = score.why_not(train, test) or "the fields do not share one space"
        return [_row(name, name, None, {}, seed) | {"rows": len(test), "reason": reason}]
    return [
        _row(name, key, evidence, {which: each[key] for which, each in found.items() if key in each}, seed)
        for key, evidence in led.items()
    ]


def _row(score: str, name: str, led: Evidence | None, found: Found, seed: int) -> dict[str, Any]:
    return {
        "score": score,
        "name": name,
        "field": led.field if led else None,
        **{which: _number(found.get(which), seed) for which in ("trained", "untrained", "raw")},
        "rows": len(led) if led else 0,
        "chance": _plain(led.chance) if led else None,
        "higher_is_better": led.higher_is_better if led else True,
        "reason": None,
    }


def _number(evidence: Evidence | None, seed: int) -> dict[str, float | None] | None:
    if evidence is None:
        return None
    low, high = evidence.interval(seed=seed)
    return {"value": _plain(evidence.value), "low": _plain(low), "high": _plain(high)}


def _plain(number: float | None) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return float(number) if number is not None and math.isfinite(number) else None
