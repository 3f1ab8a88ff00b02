"""Verdict on a run: one state and one sentence, derived from held-out rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kontrast.core.number_format import interval, many, number
from kontrast.evaluation.intervals import FEWEST, Found, apart
from kontrast.evaluation.metric_result import RAW, MetricResult
from kontrast.evaluation.standing import standing

State = Literal["learning", "nothing added", "harm", "collapsed", "too short", "not evaluated"]
Standing = Literal["better", "worse", "even"]
PROBES = "preference", "linear", "knn", "spearman"
ALIKE = 0.002  # AUC: smaller differences are negligible, even if many rows make them certain
ALIKE_ROWS = "all rows embed alike"
OFFER = (
    "The last weights are kept. With --keep best-by-validation the best of eleven states is, the untrained start among "
    "them."
)
_CLAIMS: dict[str, str] = {
    "learning": "It learned",
    "nothing added": "Training added nothing that can be measured",
    "harm": "Training did harm",
    "collapsed": "It collapsed",
    "too short": "Too short a run",
    "not evaluated": "Not evaluated",
}
_TONES: dict[str, str] = {"learning": "good", "not evaluated": "unknown"}


@dataclass(frozen=True)
class Measure:
    """Number on held-out rows, trained against untrained.

    Attributes:
        name: For example "AUC of positive against random pairs" or "linear accuracy".
        trained: Value after training.
        untrained: Value before.
        low: Lower end of the 95 % interval of the paired difference over the same rows; None if there are too few rows.
        high: Upper end.
        rows: Rows that it rests on.
        least: Differences smaller than this count as none. Default 0.
    """

    name: str
    trained: float
    untrained: float
    low: float | None
    high: float | None
    rows: int
    least: float = 0.0

    @property
    def difference(self) -> float:
        """Trained minus untrained."""
        return self.trained - self.untrained

    @property
    def standing(self) -> Standing:
        """Better or worse if the interval excludes 0 and the difference reaches `least`."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high or abs(self.difference) < self.least:
            return "even"
        return "better" if self.low > 0 else "worse"

    @property
    def words(self) -> str:
        """`linear accuracy .816 against .894 untrained (-.078 [-.095, -.061])`."""
        between = interval(self.low, self.high)
        apart = f"{'+' * (self.difference > 0)}{number(self.difference)}{f' {between}' if between else ''}"
        return f"{self.name} {number(self.trained)} against {number(self.untrained)} untrained ({apart})"


@dataclass(frozen=True)
class Verdict:
    """Outcome of a run.

    Attributes:
        state: learning, nothing added, harm, collapsed, too short or not evaluated.
        words: Sentence for terminal, notebook, report, comparison and model card: a claim, a colon, and the numbers
            behind it.
        causes: Usual causes of a state other than learning, the likeliest first.
        offer: Suggested remedy, or "".
        measures: Numbers quoted in the sentence.
    """

    state: State
    words: str
    causes: tuple[str, ...] = ()
    offer: str = ""
    measures: tuple[Measure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, for scores.json."""
        return asdict(self)


def verdict(
    scores: Sequence[Mapping[str, Any]],
    *,
    pairs: Measure | None,
    collapsed: bool,
    how: str = ALIKE_ROWS,
    short: str = "",
    causes: Sequence[str] = (),
    kept: str = "",
) -> Verdict:
    """Derives the verdict on a run from rows that training never saw.

    A collapse takes precedence. Otherwise the probes of whole rows decide if there are labels (the one with the larger
    difference if they contradict each other), else the AUC of positive against random pairs.

    Args:
        scores: Table of scores; used are the share of chosen answers that win, linear and kNN accuracy of whole rows
            and the Spearman correlation with gold scores, if present.
        pairs: AUC of positive against random pairs; None if too few rows are held out.
        collapsed: Whether the embeddings have collapsed.
        how: How they have, as a clause. Default: all rows embed alike.
        short: Why the run was too short, in words that follow a colon; "" if it was long enough.
        causes: Usual causes of a standstill, the likeliest first.
        kept: Clause for the end of the sentence that names the kept state; "" for the last one.

    Returns:
        Verdict; with causes and offer only if something went wrong.
    """
    probes = [made for made in (_probe(scores, name) for name in PROBES) if made is not None]
    measures = sorted(probes, key=lambda m: (m.standing == "even", -abs(m.difference)))
    measures += [pairs] if pairs is not None else []
    leading = next((m.standing for m in measures if m.standing != "even"), "even" if measures else None)
    state: State
    if collapsed:
        state = "collapsed"
    elif leading is None:
        state = "not evaluated"
    elif leading == "better":
        state = "learning"
    elif leading == "worse":
        state = "harm"
    else:
        state = "too short" if short else "nothing added"
    wrong = state not in ("learning", "not evaluated")
    offer = OFFER if wrong and not kept else ""
    return Verdict(
        state,
        _sentence(state, scores, measures, how if collapsed else short, kept),
        tuple(causes) if wrong else (),
        offer,
        tuple(measures),
    )


def pair_measure(trained: MetricResult | None, untrained: MetricResult | None) -> Measure | None:
    """AUC of positive against random pairs, trained against untrained; None with too few rows."""
    if trained is None or untrained is None or trained.rows != untrained.rows or trained.rows < FEWEST:
        return None
    _, low, high = apart(Found(untrained), Found(trained))
    name = "AUC of positive against random pairs"
    return Measure(name, trained.value, untrained.value, low, high, trained.rows, ALIKE)


def of_older(found: Mapping[str, Any], scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Verdict of a run from an earlier version, recomputed from its scores."""
    lead = next((row for row in scores if row.get("trained") and row.get("untrained")), None)
    pairs = None if lead is None else _measure(lead)
    state, words = str(found.get("state") or ""), str(found.get("words") or "")
    made = verdict(scores, pairs=pairs, collapsed=state == "collapsed", causes=found.get("causes") or ())
    if made.measures or state == "collapsed":
        return made.to_json()
    return Verdict("not evaluated", f"Not evaluated: {words}." if words else made.words, made.causes).to_json()


def tone(state: str) -> str:
    """Colour class of a state on the page: good, bad or unknown."""
    return _TONES.get(state, "bad")


def wrong(words: str) -> bool:
    """Whether a verdict sentence reports a run that went wrong."""
    return any(words.startswith(head) for state, head in _CLAIMS.items() if tone(state) == "bad")


def claim(words: str) -> tuple[str, str]:
    """Splits a verdict sentence at its colon: the claim, and the numbers behind it."""
    first, colon, rest = words.partition(": ")
    return first + colon.rstrip(), rest


def _probe(scores: Sequence[Mapping[str, Any]], score: str) -> Measure | None:
    """First whole-row measure of an evaluator, if any."""
    mine = (row for row in scores if row.get("score") == score and row.get("field") is None)
    return next(filter(None, map(_measure, mine)), None)


def _measure(row: Mapping[str, Any]) -> Measure | None:
    """Measure of a row of scores; None without both values, or if lower is better."""
    now, before = ((row.get(which) or {}).get("value") for which in ("trained", "untrained"))
    if now is None or before is None or not row.get("higher_is_better", True):
        return None
    paired = (row.get("paired") or {}).get("untrained") or {}
    return Measure(row["name"], now, before, paired.get("low"), paired.get("high"), row.get("rows") or 0)


def _sentence(
    state: State, scores: Sequence[Mapping[str, Any]], measures: Sequence[Measure], why: str, kept: str
) -> str:
    head = (
        _CLAIMS[state]
        + ", in too short a run" * (state == "harm" and bool(why))
        + (_beside(scores, measures) if state == "learning" else "")
        + (_raw_wins(scores, measures) if state in ("nothing added", "harm", "too short") else "")
    )
    first = why if state in ("collapsed", "harm", "too short") else ""
    if not measures:
        return f"{head}: {first or 'too few rows are held out to measure anything on'}."
    rows = many(max(measure.rows for measure in measures), "held-out row")
    numbers = f"on {rows}, {', '.join(measure.words for measure in measures)}"
    return f"{head}: {'; '.join(filter(None, (first, numbers, kept)))}."


def _beside(scores: Sequence[Mapping[str, Any]], measures: Sequence[Measure]) -> str:
    """Qualification of a learning claim: raw features match it, or labels read no better."""
    lead = measures[0]
    row = _row_of(scores, lead)
    if row is None:
        return ""
    if lead.standing == "even":
        nothing = " to tell positive pairs from others, but labels are no easier to read"
        return nothing + _raw_wins(scores, measures)
    if standing(row, "raw") == "even":
        return f", but no better than {row.get('raw_name') or RAW}"
    return _raw_wins(scores, measures, "but")


def _raw_wins(scores: Sequence[Mapping[str, Any]], measures: Sequence[Measure], link: str = "and") -> str:
    """Clause that raw features do better, or "": whatever training did, they are then the ones to take."""
    row = _row_of(scores, measures[0]) if measures else None
    if row is None or standing(row, "raw") != "worse":
        return ""
    name = row.get("raw_name") or RAW
    return f", {link} {name} {'do' if name == RAW else 'does'} better"


def _row_of(scores: Sequence[Mapping[str, Any]], measure: Measure) -> Mapping[str, Any] | None:
    """Row of whole rows that a measure was read from."""
    return next((row for row in scores if row["name"] == measure.name and row.get("field") is None), None)
