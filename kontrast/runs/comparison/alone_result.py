"""What each task of a run would have reached alone, against all of them together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kontrast.core.errors import UserError
from kontrast.core.number_format import many, number
from kontrast.evaluation.intervals import Found
from kontrast.runs.comparison.ablation import Ablation, finished, write
from kontrast.runs.comparison.ablation_result import Line, lines_of, shared_numbers
from kontrast.runs.comparison.alone import FOLDER, TASK
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import Folder
from kontrast.runs.pipeline.held_pairs import after
from kontrast.runs.run import Run

RECORD = "alone.json"
PAIRS = "AUC of its positive pairs"
_SAID = {"BETTER": "helped", "WORSE": "hurt", "SAME": "made no clear difference to"}


@dataclass(frozen=True)
class TaskAlone:
    """One task alone and together with the others.

    Attributes:
        task: Its name.
        others: Names of the other tasks.
        lines: Numbers that can be better or worse: (alone, together), the latter with the difference together minus
            alone; the leading one first, empty if no training of the task alone was finished.
        why: How it failed or collapsed alone, else "".
    """

    task: str
    others: tuple[str, ...]
    lines: tuple[tuple[Line, Line], ...]
    why: str

    @property
    def words(self) -> str:
        """Whether the others helped, such as `rotation helped contrast: kNN accuracy .84 together, .81 alone, ...`."""
        note = f" Alone, {self.task} {self.why}." if self.why else ""
        if not self.lines:
            return f"{self.task} cannot be compared.{note}"
        alone, together = self.lines[0]
        *most, last = self.others
        others = f"{', '.join(most)} and {last}" if most else last
        return (
            f"{others} {_SAID.get(together.verdict, _SAID['SAME'])} {self.task}: {together.name} "
            f"{number(together.value)} together, {number(alone.value)} alone, {together.change}.{note}"
        )


@dataclass(frozen=True)
class AloneResult:
    """All tasks of a run alone and together.

    Attributes:
        tasks: One entry per task.
        rows: Held-out rows that all runs share.
        seeds: Number of seeds.
        steps: Steps of each training.
        level: Level of the intervals.
        command: The command that repeats it.
    """

    tasks: tuple[TaskAlone, ...]
    rows: int
    seeds: int
    steps: int
    level: float
    command: str

    @property
    def head(self) -> str:
        """What was compared, in a sentence."""
        over = "rows and seeds" if self.seeds > 1 else "rows; other seeds may differ more: --seeds 3"
        length = f"{many(self.seeds, 'seed')} of {many(self.steps, 'step')} each"
        return (
            f"Each task alone against all together, on {many(self.rows, 'held-out row')}; {length}; paired "
            f"{self.level:.0%} intervals over {over}."
        )

    def words(self) -> Iterator[str]:
        """Lines for the terminal: a sentence per task, then its numbers."""
        yield self.head
        for one in self.tasks:
            yield ""
            yield one.words
            wide = max((len(together.name) for _, together in one.lines), default=0)
            for alone, together in one.lines:
                both = f"alone {alone.words:<18}  together {together.words:<18}"
                yield f"  {together.name:<{wide}}  {both}  {together.change}".rstrip()

    def to_json(self) -> dict[str, Any]:
        """Plain values, for alone.json."""
        tasks = {
            one.task: {"words": one.words, "lines": [_plain(alone, together) for alone, together in one.lines]}
            for one in self.tasks
        }
        return {"head": self.head, "command": self.command, "level": self.level, "tasks": tasks}


def result(made: Ablation, *, trust_code: bool = False, level: float = 0.95, command: str = "") -> AloneResult:
    """Compares each task alone with all together, by seed and held-out row.

    Args:
        made: The trainings, as far as they were run; the first arm is all tasks together.
        trust_code: Whether code that the runs name may be loaded.
        level: Level of the intervals. Default 0.95.
        command: The command that repeats it.

    Raises:
        UserError: No task was trained to its end alone.
    """
    places = [(at, seed) for at in range(len(made.arms)) for seed in made.seeds]
    runs = {(at, seed): Run(made.folder(made.arms[at], seed), trust_code) for at, seed in places}
    runs = {place: run for place, run in runs.items() if finished(run.path)}
    if not any(at for at, _ in runs):
        why = "; ".join(sorted(set(made.failed().values()))) or "none was finished"
        raise UserError(f"no task was trained alone to its end ({why}); expected one at least.")
    numbers, rows = shared_numbers(runs, made.seeds[0])
    names = [str(arm.settings[TASK]) for arm in made.arms[1:]]
    tasks = tuple(_task(made, at, names, runs, numbers, level) for at in range(1, len(made.arms)))
    return AloneResult(tasks, rows, len(made.seeds), made.begun["steps"], level, command)


def keep(found: AloneResult, run: Run) -> Path:
    """Writes alone.json into the run folder, where the report finds it."""
    file = run.path / FOLDER / RECORD
    write(file, found.to_json())
    return file


def _task(
    made: Ablation,
    at: int,
    names: list[str],
    runs: Mapping[tuple[int, int], Run],
    numbers: Mapping[tuple[int, int], Mapping[str, Found]],
    level: float,
) -> TaskAlone:
    arm, task = made.arms[at], names[at - 1]
    both = [seed for seed in made.seeds if (at, seed) in runs and (0, seed) in runs]
    pairs = [tuple(_with_pairs(runs[of, seed], numbers[of, seed], task) for of in (at, 0)) for seed in both]
    alone = {line.name: line for line in lines_of([one for one, _ in pairs], [], level)}
    together = [line for line in lines_of([all_ for _, all_ in pairs], [(a, b) for a, b in pairs], level) if line.merit]
    lines = tuple((alone[line.name], line) for line in together if line.name in alone and line.difference is not None)
    lost = [words for key, words in made.failed().items() if key.startswith(f"{arm.slug}/")]
    verdicts = [run_json.scores(Folder(runs[at, seed].path))["verdict"] for seed in both]
    gone = [one for one in verdicts if one["state"] == "collapsed"]
    why = ""
    if lost:
        why = f"could not be trained to the end with {many(len(lost), 'seed')} ({lost[0].rstrip('.')})"
    elif 2 * len(gone) > len(both):
        cause = next(iter(gone[0].get("causes") or ()), "no usual cause found")
        why = f"collapsed with {many(len(gone), 'seed')} ({cause})"
    return TaskAlone(task, tuple(name for name in names if name != task), lines, why)


def _with_pairs(run: Run, numbers: Mapping[str, Found], task: str) -> dict[str, Found]:
    """Numbers of a run, with the AUC of a task's own positive pairs if both kinds of run measured it."""
    pairs = after(run.folder).get(task)
    return {**numbers, **({PAIRS: Found(pairs)} if pairs is not None else {})}


def _plain(alone: Line, together: Line) -> dict[str, Any]:
    low, high = together.apart or (None, None)
    return {
        "name": together.name,
        "alone": {"value": alone.value, "low": alone.low, "high": alone.high},
        "together": {"value": together.value, "low": together.low, "high": together.high},
        "difference": {"value": together.difference, "low": low, "high": high},
        "verdict": together.verdict,
        "higher_is_better": together.higher_is_better,
    }
