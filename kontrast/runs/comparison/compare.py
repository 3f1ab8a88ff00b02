"""Comparison of runs: paired differences of their common scores on the same held-out rows."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.core.number_format import many, number
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.intervals import Found, apart, find_all
from kontrast.evaluation.usual import evaluators
from kontrast.runs.comparison.common_rows import CommonRows, common_rows
from kontrast.runs.run import Run

Verdict = Literal["BETTER", "WORSE", "SAME", "HIGHER", "LOWER"]


@dataclass(frozen=True)
class Line:
    """One score of two runs.

    Attributes:
        name: Name of the score.
        field: The field it is of; None for all.
        one: Value of the first run.
        two: Value of the second run.
        difference: `two` minus `one`.
        low: Lower end of the paired interval of the difference; None with too few rows.
        high: Upper end of it.
        verdict: SAME if the interval contains 0 or there is none; else BETTER or WORSE, without merit HIGHER or LOWER.
        rows: Number of rows that the score is computed on.
        merit: Whether the score can be better or worse; False if chance has no value of it (a rank, a spread).
        higher_is_better: Whether larger values are better.
    """

    name: str
    field: str | None
    one: float
    two: float
    difference: float
    low: float | None
    high: float | None
    verdict: Verdict
    rows: int
    merit: bool
    higher_is_better: bool


@dataclass(frozen=True)
class Pair:
    """Comparison of two runs.

    Attributes:
        one: Index of the first run among the runs compared.
        two: Index of the second run.
        lines: The scores that both have.
        changed: Settings that differ, such as `plan.batch: 256 -> 512`.
    """

    one: int
    two: int
    lines: tuple[Line, ...]
    changed: tuple[str, ...]

    @property
    def first(self) -> Line | None:
        """The first score that can be better or worse, else the first, or None."""
        return next((line for line in self.lines if line.merit), next(iter(self.lines), None))

    def count(self, verdict: Verdict) -> int:
        """Number of scores with a verdict."""
        return sum(line.verdict == verdict for line in self.lines)


@dataclass(frozen=True)
class Comparison:
    """Comparison of several runs.

    Attributes:
        names: Distinct names of the runs.
        folders: Their folders.
        level: Level of each interval, without correction for their number.
        pairs: The pairs compared.
        shared: The held-out rows that all runs share.
        verdicts: Each run's verdict on itself, "" for a run without one.
    """

    names: tuple[str, ...]
    folders: tuple[str, ...]
    level: float
    pairs: tuple[Pair, ...]
    shared: CommonRows
    verdicts: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of held-out rows that all runs share."""
        return len(self.shared.banks[0][1])

    @property
    def chance(self) -> str:
        """A note on how many of the intervals exclude 0 by chance alone."""
        made = sum(len(pair.lines) for pair in self.pairs)
        by_luck = (1 - self.level) * made
        wrong = f"about {by_luck:.0f}" if by_luck >= 0.95 else "hardly one"
        return (
            f"{many(made, 'interval')} of {self.level:.0%} each, not widened for their number: between equally good "
            f"runs {wrong} would leave out 0 by luck. They speak of other rows like these, not of other seeds; for "
            "that, train several seeds of each."
        )

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain values, for scripts."""
        pairs = [
            {
                "one": self.folders[pair.one],
                "two": self.folders[pair.two],
                "changed": pair.changed,
                "numbers": [asdict(line) for line in pair.lines],
            }
            for pair in self.pairs
        ]
        notes = [*self.shared.notes, self.chance]
        verdicts = dict(zip(self.folders, self.verdicts, strict=False))
        return {"rows": self.rows, "level": self.level, "verdicts": verdicts, "notes": notes, "pairs": pairs}

    def words(self, *, every: bool = True) -> Iterator[str]:
        """Lines for the terminal: one per pair, led by its verdict.

        Args:
            every: Whether the scores and changed settings of each pair follow its line.
        """
        yield f"{self.rows:,} held-out rows in common; two less one, {self.level:.0%} intervals over the same rows"
        yield from self.shared.notes
        yield from (f"{name}: {words}" for name, words in zip(self.names, self.verdicts, strict=False) if words)
        for pair in self.pairs:
            yield ""
            yield self.headline(pair)
            width = max((len(line.name) for line in pair.lines), default=0)
            for line in pair.lines if every else ():
                yield f"  {line.verdict:<7} {line.name:<{width}}  {said(line)}"
            yield from (f"  {change}" for change in (pair.changed if every else ()))
        yield ""
        yield self.chance

    def headline(self, pair: Pair) -> str:
        """A line for a pair: verdict, names, leading score, and scores per verdict."""
        lead = pair.first
        names = f"{self.names[pair.two]} against {self.names[pair.one]}"
        if lead is None:
            return f"{'NOTHING':<9} {names}: no number in common"
        counted = ((v, pair.count(v)) for v in ("BETTER", "SAME", "WORSE", "HIGHER", "LOWER"))
        every = ", ".join(f"{n} {verdict}" for verdict, n in counted if n)
        return f"{lead.verdict:<9} {names}: {lead.name} {said(lead)}    of {len(pair.lines)}: {every}"


def compare(
    runs: Sequence[Run], *, every_pair: bool = False, level: float = 0.95, seed: int = 0, scores: Sequence[str] = ()
) -> Comparison:
    """Compares runs by their common scores on the held-out rows that all share.

    The evaluators are those of the first run.

    Args:
        runs: Two runs or more; each is compared with the first.
        every_pair: Whether to compare every pair instead, the later run with the earlier.
        level: Level of each interval, at least 0.5 and below 1.
        seed: Seed of the evaluation.
        scores: Names of the evaluators to use. Default: all of the first run.

    Raises:
        UserError: The runs share no rows, ids name different rows, or a run has no embeddings yet.
    """
    if len(runs) < 2:
        raise UserError(f"compare takes two runs or more; found {len(runs)}.")
    if not 0.5 <= level < 1:
        raise UserError(f"compare: level={level:g}; expected 0.5 or more and less than 1, such as 0.95.")
    same = common_rows(runs)
    chosen = _evaluators(runs[0], scores)
    found = [numbers_of(chosen, train, test, seed) for train, test in same.banks]
    places = itertools.combinations(range(len(runs)), 2) if every_pair else ((0, two) for two in range(1, len(runs)))
    pairs = tuple(
        Pair(
            a,
            b,
            tuple(_lines(found[a], found[b], level)),
            tuple(runs[a].experiment.difference(runs[b].experiment)),
        )
        for a, b in places
    )
    verdicts = tuple(run.verdict["words"] if (run.path / "scores.json").is_file() else "" for run in runs)
    return Comparison(_names(runs), tuple(str(run.path) for run in runs), level, pairs, same, verdicts)


def line(name: str, one: Found, two: Found, *, level: float = 0.95) -> Line:
    """Compares one score of two runs over the same rows.

    Args:
        name: Name of the score.
        one: The score of the first run.
        two: The score of the second run.
        level: Level of the interval.
    """
    difference, *ends = apart(one, two, level=level)
    low, high = (end if math.isfinite(end) else None for end in ends)
    first, second = one.evidence, two.evidence
    merit, up = second.chance is not None, second.higher_is_better
    verdict: Verdict = "SAME"
    if low is not None and high is not None and (low > 0 or high < 0):
        rise = low > 0
        verdict = ("BETTER" if rise == up else "WORSE") if merit else "HIGHER" if rise else "LOWER"
    return Line(name, second.field, first.value, second.value, difference, low, high, verdict, second.rows, merit, up)


def _evaluators(first: Run, names: Sequence[str]) -> list[Evaluator]:
    """The evaluators of a run, or the named ones of them."""
    named = {type(score).__name__.lower(): score for score in evaluators(first.experiment)}
    unknown = [name for name in names if name not in named]
    if unknown:
        raise UserError(f"{first.path} is not evaluated by '{unknown[0]}'; expected one of {', '.join(named)}.")
    return [score for name, score in named.items() if not names or name in names]


def numbers_of(scores: Sequence[Evaluator], train: EmbeddingTable, test: EmbeddingTable, seed: int) -> dict[str, Found]:
    """All scores of a run on the shared rows, retrieval between fields first."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # thousands of small operations, as in evaluation/evaluate.py
        found = find_all(scores, train, test, seed)
    kept = [(name, one) for name, one in found.items() if test.shared or not one.evidence.across]
    across = {name: ">" in (one.evidence.field or "") and one.evidence.higher_is_better for name, one in kept}
    return dict(sorted(kept, key=lambda item: not across[item[0]]))


def _lines(one: Mapping[str, Found], two: Mapping[str, Found], level: float) -> Iterator[Line]:
    for name in one:
        if name in two:
            made = line(name, one[name], two[name], level=level)
            if math.isfinite(made.difference):
                yield made


def _names(runs: Sequence[Run]) -> tuple[str, ...]:
    """Distinct names: folder names, else paths, numbered if a run is named twice."""
    paths = [run.path.resolve() for run in runs]
    clash = len({path.name for path in paths}) < len(set(paths))
    names = [str(run.path) if clash else path.name for run, path in zip(runs, paths, strict=True)]
    return tuple(
        f"{name} ({names[:at].count(name) + 1})" if names.count(name) > 1 else name for at, name in enumerate(names)
    )


def said(line: Line) -> str:
    """Values, difference and interval as text: `.812 vs .742  +.070 [.031, .108]`."""
    between = "" if line.low is None else f" [{number(line.low)}, {number(line.high)}]"
    return f"{number(line.two)} vs {number(line.one)}  {'+' * (line.difference > 0)}{number(line.difference)}{between}"
