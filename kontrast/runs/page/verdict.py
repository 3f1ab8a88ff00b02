"""Did it learn anything, measured how: the words at the top of the page, derived from intervals."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from kontrast.runs.page.digits import interval, number

Standing = Literal["better", "worse", "even"]
Score = Mapping[str, Any]


class Words(NamedTuple):
    """tone (good, mixed, bad, unknown), the claim in a few words, and what it rests on."""

    tone: str
    claim: str
    reason: str


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


def above_chance(score: Score) -> Standing | None:
    """Where the trained encoder stands against guessing; None where chance is not known."""
    chance = score.get("chance")
    return None if chance is None else _side(*_bounds(score["trained"]), chance, chance, score)


def headline(verdict: Mapping[str, Any], scores: Sequence[Score]) -> Words:
    """The claim of the whole run, from one score, never the best one: the first that has a baseline.

    Judges give theirs in the order in which they matter. A health verdict other than learning stands above any score.
    """
    state = str(verdict.get("state") or "").lower()
    said = str(verdict.get("words") or "")
    measured = [s for s in scores if s.get("trained") and s["trained"].get("value") is not None]
    first = _first(measured)
    reason = [] if first is None else [_sentence(first), _others(measured)]
    if state not in ("", "learning"):
        claim = {"collapsed": "It collapsed", "not learning": "It did not learn"}.get(state, state.capitalize())
        return Words("bad", claim, " ".join(filter(None, [_stop(said), *reason])))
    if first is None:
        return Words("unknown", "Not judged", " ".join(filter(None, ["No score was measured.", _stop(said)])))
    tone, claim = _claim(first)
    return Words(tone, claim, " ".join(filter(None, reason)))


def label(score: Score) -> str:
    """`kNN accuracy (image)`; a name that says its field already is left alone."""
    field = score.get("field")
    return f"{score['name']} ({field})" if field and str(field) not in str(score["name"]) else str(score["name"])


def _first(scores: Sequence[Score]) -> Score | None:
    return next(iter([s for s in scores if s.get("raw") or s.get("untrained")] or scores), None)


def _claim(score: Score) -> tuple[str, str]:
    raw, untrained = standing(score, "raw"), standing(score, "untrained")
    if raw is None and untrained is None:
        return {
            "better": ("mixed", "Better than chance; no baseline was measured"),
            "worse": ("bad", "Worse than chance"),
            "even": ("bad", "No better than chance"),
            None: ("unknown", "Measured, with nothing to compare it to"),
        }[above_chance(score)]
    if untrained == "worse":
        return "bad", "Training made it worse"
    if untrained == "even":
        return "bad", "Training added nothing that can be measured"
    learned = "It learned" if untrained == "better" else "Better than raw features"
    return {
        "worse": ("mixed", f"{learned}, but raw features do better" if untrained else "Worse than raw features"),
        "even": (
            "mixed",
            f"{learned}, but no better than raw features" if untrained else "No better than raw features",
        ),
        "better": ("good", learned),
        None: ("good", learned),
    }[raw]


def _sentence(score: Score) -> str:
    trained = score["trained"]
    words = f"{label(score)} {number(trained['value'])} {interval(trained.get('low'), trained.get('high'))}".rstrip()
    against = [
        f"{number(score[key]['value'])} {name}"
        for key, name in (("raw", "for raw features"), ("untrained", "untrained"))
        if score.get(key)
    ]
    if against:
        words += " against " + " and ".join(against)
    if score.get("chance") is not None:
        words += f" (chance {number(score['chance'])})"
    if score.get("rows"):
        words += f", on {number(score['rows'])} test rows"
    return words + ("." if score.get("higher_is_better", True) else "; lower is better.")


def _others(scores: Sequence[Score]) -> str:
    """How many scores are clear of every baseline they have, and which are not; a number that chance has no value of
    (a rank, a spread) describes, and is not counted.
    """
    counted = [s for s in scores if s.get("chance") is not None]
    against = {label(s): {standing(s, "raw"), standing(s, "untrained")} - {None} for s in counted}
    judged = {name: stands for name, stands in against.items() if stands}
    if len(judged) < 2:
        return ""
    short = [name for name, stands in judged.items() if stands != {"better"}]
    if not short:
        return f"All {len(judged)} scores are clear of their baselines."
    if len(short) == len(judged):
        return f"None of the {len(judged)} scores is clear of all its baselines."
    named = ", ".join(short[:4]) + (f" and {len(short) - 4} more" if len(short) > 4 else "")
    return f"{len(judged) - len(short)} of {len(judged)} scores are clear of their baselines; not so: {named}."


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


def _stop(words: str) -> str:
    """As a sentence of its own."""
    return words and words[0].upper() + words[1:] + ("" if words[-1] in ".!?" else ".")
