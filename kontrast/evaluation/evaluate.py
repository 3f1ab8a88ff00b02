"""Evaluates the trained encoder with intervals, beside raw features and the untrained encoder."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.intervals import Found, apart, find_all, interval
from kontrast.evaluation.metric_result import RAW

BASELINES = "untrained", "raw"


def evaluate(
    scores: Sequence[Evaluator], banks: Mapping[str, tuple[EmbeddingTable, EmbeddingTable]], seed: int = 0
) -> list[dict[str, Any]]:
    """Table of plain JSON values, one row per number that applies to the trained embeddings.

    Numbers between two fields come first; evaluators that do not apply come last.

    Args:
        scores: Evaluators to run.
        banks: "trained" and, if present, "untrained" and "raw" -> (train, test) tables.
        seed: Seed of the splits that the intervals rest on. Default 0.

    Returns:
        Rows with these keys:
        score: evaluator, in lower case.
        name: name of the number.
        field: None for whole rows, "one>other" for a pair of fields.
        trained, untrained, raw: {"value", "low", "high"}, or None if it is not available; low and high are None if
        there are too few rows for an interval.
        paired: {baseline: {"value", "low", "high"}}, trained minus baseline over the same test rows.
        raw_name: what the baseline "raw" is, in words.
        rows: test rows evaluated.
        chance: None if unknown.
        higher_is_better: bool.
        reason: None, or why the evaluator does not apply; such a row carries the evaluator's name and no numbers.

    Raises:
        UserError: "trained" is missing, or train and test differ in fields.
    """
    if "trained" not in banks:
        raise UserError(
            f"evaluate got embeddings of {', '.join(banks) or 'nothing'}; expected 'trained' among them. Add "
            "those of the trained encoder."
        )
    for name, (train, test) in banks.items():
        if list(train.z) != list(test.z):
            raise UserError(
                f"the {name} embeddings differ in fields: train has {', '.join(train.z)}, "
                f"test has {', '.join(test.z)}; embed both with one run."
            )
    from threadpoolctl import threadpool_limits

    # Thousands of small operations: a second thread makes the probe 10 times slower on busy cores, no faster on idle.
    with threadpool_limits(1):
        rows = [row for score in scores for row in _rows(score, banks, seed)]
    # retrieval between fields comes first, since multi-field rows are trained for it
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
        "raw_name": led.raw if led else RAW,
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
    """Replaces NaN and infinity with None, since JSON has neither."""
    return float(number) if number is not None and math.isfinite(number) else None
