"""Result of an ablation: each arm against the recipe, over all seeds and the held-out rows that all runs share."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kontrast.core.errors import UserError
from kontrast.core.number_format import clock, interval, many, number
from kontrast.evaluation.intervals import Found
from kontrast.evaluation.over_seeds import difference_over_seeds, half_width, mean_over_seeds
from kontrast.evaluation.usual import evaluators
from kontrast.runs.comparison.ablation import Ablation, finished
from kontrast.runs.comparison.common_rows import common_rows
from kontrast.runs.comparison.compare import numbers_of
from kontrast.runs.comparison.swap import Arm
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import Folder
from kontrast.runs.run import Run

Verdict = Literal["BETTER", "WORSE", "SAME", "HIGHER", "LOWER", "COLLAPSED", "FAILED"]
PAIRS = "AUC of positive against random pairs"  # each method's own pairs, so a last resort


@dataclass(frozen=True)
class Line:
    """One number of an arm, over its seeds.

    Attributes:
        name: Name of the number.
        each: Value per seed.
        value: Mean over seeds.
        low: Lower end of its interval over rows and seeds; None with too few rows.
        high: Upper end.
        difference: Mean of arm minus recipe; None for the recipe itself.
        apart: Low and high of the difference; None with too few rows.
        merit: Whether the number can be better or worse.
        higher_is_better: Whether larger values are better.
    """

    name: str
    each: tuple[float, ...]
    value: float
    low: float | None
    high: float | None
    difference: float | None = None
    apart: tuple[float, float] | None = None
    merit: bool = True
    higher_is_better: bool = True

    @property
    def verdict(self) -> Verdict:
        """SAME if the interval of the difference contains 0 or is unknown."""
        if self.apart is None or self.apart[0] <= 0 <= self.apart[1]:
            return "SAME"
        rise = self.apart[0] > 0
        return ("BETTER" if rise == self.higher_is_better else "WORSE") if self.merit else "HIGHER" if rise else "LOWER"

    @property
    def words(self) -> str:
        """Mean with its interval: `.812 [.78, .84]`."""
        return f"{number(self.value)} {interval(self.low, self.high)}".rstrip()

    @property
    def change(self) -> str:
        """Difference with its interval: `+.030 [.011, .049]`; "" for the recipe itself."""
        if self.difference is None:
            return ""
        between = interval(*self.apart) if self.apart else ""
        return f"{'+' * (self.difference > 0)}{number(self.difference)} {between}".rstrip()


@dataclass(frozen=True)
class Outcome:
    """What an arm came to.

    Attributes:
        arm: The arm.
        seeds: Seeds that were trained to the end.
        lines: Its numbers, the leading one first; empty if no seed was trained to the end.
        verdict: Of the leading number, or COLLAPSED or FAILED if most seeds did; "" for the recipe unless it did.
        why: Cause of a collapse or failure, else "".
        seconds: Seconds of training per seed, on average.
    """

    arm: Arm
    seeds: tuple[int, ...]
    lines: tuple[Line, ...]
    verdict: Verdict | Literal[""]
    why: str
    seconds: float


@dataclass(frozen=True)
class Result:
    """Outcome per arm, the recipe first.

    Attributes:
        outcomes: One per arm.
        rows: Held-out rows that all runs share.
        seeds: Number of seeds.
        steps: Number of steps of the recipe's runs.
        level: Level of the intervals.
    """

    outcomes: tuple[Outcome, ...]
    rows: int
    seeds: int
    steps: int
    level: float

    @property
    def head(self) -> str:
        """What was compared, in a sentence."""
        lead = next((one.lines[0].name for one in self.outcomes if one.lines), "nothing")
        over = "rows and seeds" if self.seeds > 1 else "rows; other seeds may differ more: ablate with --seeds 3"
        return (
            f"{lead} on {many(self.rows, 'held-out row')} that all runs share; {many(self.seeds, 'seed')} of "
            f"{many(self.steps, 'step')} each; {self.level:.0%} intervals over {over}."
        )

    @property
    def note(self) -> str:
        """How many of the verdicts luck alone may give."""
        made = len(self.outcomes) - 1
        return (
            f"{many(made, 'interval')} of {self.level:.0%}, not widened for their number: of twenty arms that change "
            "nothing about one is called better or worse by luck."
        )

    def words(self) -> Iterator[str]:
        """Lines for the terminal."""
        yield self.head
        yield ""
        wide = max(len(one.arm.name) for one in self.outcomes)
        for one in self.outcomes:
            lead = one.lines[0] if one.lines else None
            described = f"{lead.words:<20}  {lead.change:<22}" if lead else ""
            yield f"  {one.verdict or 'recipe':<9}  {one.arm.name:<{wide}}  {described}  {clock(one.seconds)}".rstrip()
            if one.why:
                yield f"  {'':<9}  {one.why}"
        yield ""
        yield self.note

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ablation.json."""
        outcomes = [
            {**asdict(one), "lines": [{**asdict(line), "verdict": line.verdict} for line in one.lines]}
            for one in self.outcomes
        ]
        return {**asdict(self), "outcomes": outcomes}


def result(made: Ablation, *, level: float = 0.95) -> Result:
    """Compares each arm with the recipe, over the seeds that both were trained to the end with.

    Args:
        made: The ablation, as far as it was run.
        level: Level of the intervals. Default 0.95.

    Raises:
        UserError: No run of the recipe was trained to its end, or the runs share no held-out rows.
    """
    places = [(at, seed) for at in range(len(made.arms)) for seed in made.seeds]
    runs = {(at, seed): Run(made.folder(made.arms[at], seed)) for at, seed in places}
    runs = {place: run for place, run in runs.items() if finished(run.path)}
    if not any(at == 0 for at, _ in runs):
        why = "; ".join(sorted(set(made.failed().values()))) or "none was finished"
        raise UserError(f"no run of {made.arms[0].name} was trained to its end ({why}); expected one at least.")
    numbers, rows = shared_numbers(runs, made.seeds[0])
    failed = made.failed()
    outcomes = tuple(_outcome(made, at, runs, numbers, failed, level) for at in range(len(made.arms)))
    steps = run_json.scores(Folder(next(run.path for (at, _), run in runs.items() if at == 0)))["steps"]
    return Result(outcomes, rows, len(made.seeds), steps, level)


_Place = tuple[int, int]  # index of the arm, seed


def shared_numbers(runs: Mapping[_Place, Run], seed: int) -> tuple[dict[_Place, dict[str, Found]], int]:
    """Numbers of each run on the rows that all share, and how many rows these are.

    Args:
        runs: (Index of its arm, seed) -> run.
        seed: Seed of the evaluation.

    Raises:
        UserError: There are fewer than two runs, or they share fewer than two rows.
    """
    if len(runs) < 2:
        raise UserError("an ablation compares two runs or more; only one was trained to its end.")
    same = common_rows(list(runs.values()))
    judging = evaluators(next(iter(runs.values())).experiment)
    found = {
        place: numbers_of(judging, train, test, seed) for place, (train, test) in zip(runs, same.banks, strict=True)
    }
    return found, len(same.banks[0][1])


def _outcome(
    made: Ablation,
    at: int,
    runs: Mapping[_Place, Run],
    numbers: Mapping[_Place, Mapping[str, Found]],
    failed: Mapping[str, str],
    level: float,
) -> Outcome:
    arm = made.arms[at]
    seeds = tuple(seed for seed in made.seeds if (at, seed) in runs)
    scores = [run_json.scores(Folder(runs[at, seed].path)) for seed in seeds]
    both = [seed for seed in seeds if (0, seed) in runs]
    mine = [numbers[at, seed] for seed in seeds]
    pairs = [(numbers[0, seed], numbers[at, seed]) for seed in both] if at else []
    lines = _ordered(lines_of(mine, pairs, level))
    if not any(line.merit for line in lines):
        others = [_auc(run_json.scores(Folder(runs[0, seed].path))) for seed in both] if at else []
        lines = _pair_lines([_auc(one) for one in scores], others, level) + lines
    lost = [words for key, words in failed.items() if key.startswith(f"{arm.slug}/")]
    collapsed = [one["verdict"] for one in scores if one["verdict"]["state"] == "collapsed"]
    seconds = sum(one["seconds"] for one in scores) / max(len(scores), 1)
    verdict, why = lines[0].verdict if at and lines else "", ""
    if 2 * len(lost) > len(made.seeds) or not seeds:
        verdict, why = "FAILED", f"{_in(len(lost), made)}: {lost[0] if lost else 'no run was finished'}"
    elif 2 * len(collapsed) > len(seeds):
        cause = next(iter(collapsed[0].get("causes") or ()), "no usual cause found")
        verdict, why = "COLLAPSED", f"{_in(len(collapsed), made)}: {cause}"
    return Outcome(arm, seeds, tuple(lines), verdict, why, seconds)


def _in(n: int, made: Ablation) -> str:
    return f"in {n} of {many(len(made.seeds), 'seed')}"


def lines_of(
    mine: Sequence[Mapping[str, Found]], pairs: Sequence[tuple[Mapping[str, Found], Mapping[str, Found]]], level: float
) -> list[Line]:
    """Every number that all seeds have.

    Args:
        mine: Numbers of an arm, per seed.
        pairs: Numbers of another arm and of this one, per seed that both have; this minus the other is the
            difference.
        level: Level of the intervals.
    """
    lines = []
    for name in mine[0] if mine else ():
        if not all(name in one for one in mine):
            continue
        found = [one[name] for one in mine]
        value, low, high = mean_over_seeds(found, level=level)
        if not math.isfinite(value):
            continue
        difference, apart = None, None
        if pairs and all(name in one for one, _ in pairs):
            base, own = [one[name] for one, _ in pairs], [one[name] for _, one in pairs]
            difference, *ends = difference_over_seeds(base, own, level=level)
            apart = (ends[0], ends[1]) if all(map(math.isfinite, ends)) else None
        lines.append(
            Line(
                name,
                tuple(one.evidence.value for one in found),
                value,
                *(low, high) if math.isfinite(high - low) else (None, None),
                difference,
                apart,
                found[0].evidence.chance is not None,
                found[0].evidence.higher_is_better,
            )
        )
    return lines


def _ordered(lines: list[Line]) -> list[Line]:
    """Numbers that can be better or worse first."""
    return sorted(lines, key=lambda line: not line.merit)


def _auc(scores: Mapping[str, Any]) -> float | None:
    measures = scores["verdict"].get("measures") or ()
    return next((one["trained"] for one in measures if one["name"] == PAIRS), None)


def _pair_lines(mine: Sequence[float | None], others: Sequence[float | None], level: float) -> list[Line]:
    """AUC of positive pairs, with intervals over seeds alone; nothing if a run lacks it."""
    values = [one for one in mine if one is not None]
    if len(values) < len(mine) or not values:
        return []
    value, difference, apart = sum(values) / len(values), None, None
    reach = half_width(values, level) if len(values) > 1 else math.nan
    base = [one for one in others if one is not None]
    if base and len(base) == len(values):
        each = [a - b for a, b in zip(values, base, strict=True)]
        difference = sum(each) / len(each)
        if len(each) > 1:
            apart = (difference - half_width(each, level), difference + half_width(each, level))
    ends = (value - reach, value + reach) if math.isfinite(reach) else (None, None)
    return [Line("AUC of positive pairs", tuple(values), value, *ends, difference, apart)]
