"""judge: every number of the trained encoder, with its interval, beside that of raw features and untrained encoder."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.intervals import Found, apart, find_all, interval

BASELINES = "untrained", "raw"


def evaluate(
    scores: Sequence[Evaluator], banks: Mapping[str, tuple[EmbeddingTable, EmbeddingTable]], seed: int = 0
) -> list[dict[str, Any]]:
    """A table of plain JSON values, one row a number, led by what the trained banks have.

    banks: "trained" and, where there are, "untrained" and "raw" -> (train, test). A row: score, name, field (None:
    whole rows; "one>other": a pair), trained, untrained, raw (each {"value", "low", "high"} or None where it cannot
    be said; low and high None where the rows are too few to tell), paired (trained less each of the others over the
    same rows, alike), rows (test rows judged), chance (None where unknown), higher_is_better, reason (None). A judge
    that does not apply gives one row, named after it, with its reason and no numbers.
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
    # what one field finds in another comes first: it is what rows of several fields are trained for; what does not
    # apply to the data comes last
    return sorted(
        rows, key=lambda row: (row["trained"] is None, not (">" in (row["field"] or "") and row["higher_is_better"]))
    )


def _rows(
    score: Evaluator, banks: Mapping[str, tuple[EmbeddingTable, EmbeddingTable]], seed: int
) -> list[dict[str, Any]]:
    name = type(score).__name__.lower()
    train, test = banks["trained"]
    found = {which: find_all([score], *pair, seed) for which, pair in banks.items()}
    alike = [which for which in BASELINES if which in banks and np.array_equal(banks[which][1].ids, test.ids)]
    led = [key for key, one in found["trained"].items() if test.shared or not one.evidence.across]
    if not led:
        reason = score.why_not(train, test) or "the fields do not share one space"
        return [_row(name, name, {}) | {"rows": len(test), "reason": reason}]
    beside = ({which: each[key] for which, each in found.items() if key in each} for key in led)
    return [_row(name, key, numbers, alike) for key, numbers in zip(led, beside, strict=True)]


def _row(score: str, name: str, found: Mapping[str, Found], alike: Sequence[str] = ()) -> dict[str, Any]:
    led = found["trained"].evidence if found else None
    return {
        "score": score,
        "name": name,
        "field": led.field if led else None,
        **{which: _number(found.get(which)) for which in ("trained", *BASELINES)},
        "paired": {which: _bounded(*apart(found[which], found["trained"])) for which in alike if which in found},
        "rows": led.rows if led else 0,
        "chance": _plain(led.chance) if led else None,
        "higher_is_better": led.higher_is_better if led else True,
        "reason": None,
    }


def _number(found: Found | None) -> dict[str, float | None] | None:
    return None if found is None else _bounded(found.evidence.value, *interval(found))


def _bounded(value: float, low: float, high: float) -> dict[str, float | None]:
    return {"value": _plain(value), "low": _plain(low), "high": _plain(high)}


def _plain(number: float | None) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return float(number) if number is not None and math.isfinite(number) else None
