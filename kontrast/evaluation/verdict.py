"""The verdict on a run: one state and one sentence, from held-out rows, for every place that tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kontrast.core.number_format import interval, many, number
from kontrast.evaluation.intervals import FEWEST, Found, apart
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.standing import standing

State = Literal["learning", "nothing added", "harm", "collapsed", "too short", "not judged"]
Standing = Literal["better", "worse", "even"]
PROBES = "linear", "knn", "spearman"
ALIKE = 0.002  # AUC: a smaller difference is none, however many rows make it certain
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
    "not judged": "Not judged",
}
_TONES: dict[str, str] = {"learning": "good", "not judged": "unknown"}


@dataclass(frozen=True)
class Measure:
    """A number on held-out rows, trained beside untrained.

    Attributes:
        name: What it is called: "AUC of positive against random pairs", "linear accuracy".
        trained: Its value after training.
        untrained: Its value before.
        low: Lower end of the 95 % interval of the paired difference over the same rows; None with too few rows.
        high: Upper end.
        rows: How many rows it rests on.
        least: A difference smaller than this counts as none.
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
        """Better or worse if the interval leaves out 0 and the difference is large enough; else even."""
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
    """What came of a run.

    Attributes:
        state: learning, nothing added, harm, collapsed, too short or not judged.
        words: The sentence that terminal, notebook, report, comparison and model card show: a claim, a colon, and what
            it rests on.
        causes: What most often stands behind a state other than learning, the likeliest first.
        offer: What can be done about it, or "".
        measures: The numbers that the sentence tells.
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
    short: str = "",
    causes: Sequence[str] = (),
    kept: str = "",
) -> Verdict:
    """Judge a run by what it does on rows that training never saw.

    A collapse stands above all. Else the probes of whole rows decide if there are labels (if they contradict each
    other, the larger difference does), else the AUC of positive against random pairs.

    Args:
        scores: The table of scores; of it the linear and kNN accuracy of whole rows and the Spearman
            correlation with gold scores are used, if they are there.
        pairs: The AUC of positive against random pairs, None if too few rows are held out.
        collapsed: Whether all rows embed alike.
        short: Why the run was too short to tell, in words that follow a colon; "" if it was long enough.
        causes: What most often stands behind a standstill, the likeliest first.
        kept: Which state was kept, in a clause for the end of the sentence; "" for the last one.

    Returns:
        The verdict; causes and offer only where something went wrong.
    """
    probes = [made for made in (_probe(scores, name) for name in PROBES) if made is not None]
    measures = sorted(probes, key=lambda m: (m.standing == "even", -abs(m.difference)))
    measures += [pairs] if pairs is not None else []
    leading = next((m.standing for m in measures if m.standing != "even"), "even" if measures else None)
    state: State
    if collapsed:
        state = "collapsed"
    elif leading is None:
        state = "not judged"
    elif leading == "better":
        state = "learning"
    elif leading == "worse":
        state = "harm"
    else:
        state = "too short" if short else "nothing added"
    wrong = state not in ("learning", "not judged")
    offer = OFFER if wrong and not kept else ""
    return Verdict(
        state, _sentence(state, scores, measures, short, kept), tuple(causes) if wrong else (), offer, tuple(measures)
    )


def pair_measure(trained: MetricResult | None, untrained: MetricResult | None) -> Measure | None:
    """The AUC of positive against random pairs, trained beside untrained over the same rows and views."""
    if trained is None or untrained is None or trained.rows != untrained.rows or trained.rows < FEWEST:
        return None
    _, low, high = apart(Found(untrained), Found(trained))
    name = "AUC of positive against random pairs"
    return Measure(name, trained.value, untrained.value, low, high, trained.rows, ALIKE)


def of_older(found: Mapping[str, Any], scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The verdict of a run that an earlier version judged by its loss: from its scores, as far as they go."""
    lead = next((row for row in scores if row.get("trained") and row.get("untrained")), None)
    pairs = None if lead is None else _measure(lead)
    state, words = str(found.get("state") or ""), str(found.get("words") or "")
    made = verdict(scores, pairs=pairs, collapsed=state == "collapsed", causes=found.get("causes") or ())
    if made.measures or state == "collapsed":
        return made.to_json()
    return Verdict("not judged", f"Not judged: {words}." if words else made.words, made.causes).to_json()


def tone(state: str) -> str:
    """How the page colours a state: good, bad or unknown."""
    return _TONES.get(state, "bad")


def wrong(words: str) -> bool:
    """Whether a sentence tells of a run that went wrong."""
    return any(words.startswith(head) for state, head in _CLAIMS.items() if tone(state) == "bad")


def claim(words: str) -> tuple[str, str]:
    """The sentence in two: the claim up to its colon, and what it rests on."""
    first, colon, rest = words.partition(": ")
    return first + colon.rstrip(), rest


def _probe(scores: Sequence[Mapping[str, Any]], score: str) -> Measure | None:
    """A probe's accuracy of whole rows."""
    mine = (row for row in scores if row.get("score") == score and row.get("field") is None)
    return next(filter(None, map(_measure, mine)), None)


def _measure(row: Mapping[str, Any]) -> Measure | None:
    """A row of the table of scores; None without both values, or where less is better."""
    now, before = ((row.get(which) or {}).get("value") for which in ("trained", "untrained"))
    if now is None or before is None or not row.get("higher_is_better", True):
        return None
    paired = (row.get("paired") or {}).get("untrained") or {}
    return Measure(row["name"], now, before, paired.get("low"), paired.get("high"), row.get("rows") or 0)


def _sentence(
    state: State, scores: Sequence[Mapping[str, Any]], measures: Sequence[Measure], short: str, kept: str
) -> str:
    head = (
        _CLAIMS[state]
        + ", in too short a run" * (state == "harm" and bool(short))
        + (_beside(scores, measures) if state == "learning" else "")
    )
    first = "all rows embed alike" if state == "collapsed" else short if state in ("harm", "too short") else ""
    if not measures:
        return f"{head}: {first or 'too few rows are held out to measure anything on'}."
    rows = many(max(measure.rows for measure in measures), "held-out row")
    numbers = f"on {rows}, {', '.join(measure.words for measure in measures)}"
    return f"{head}: {'; '.join(filter(None, (first, numbers, kept)))}."


def _beside(scores: Sequence[Mapping[str, Any]], measures: Sequence[Measure]) -> str:
    """What a claim to have learned must add: raw features are as good, or labels are no easier to read."""
    lead = measures[0]
    row = next((row for row in scores if row["name"] == lead.name and row.get("field") is None), None)
    if row is None:
        return ""
    if lead.standing == "even":
        return " to tell positive pairs from others, but labels are no easier to read"
    raw = {"worse": "raw features do better", "even": "no better than raw features"}.get(standing(row, "raw") or "")
    return f", but {raw}" if raw else ""
