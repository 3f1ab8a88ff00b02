"""Replay of a run from its folder, and comparison of losses, weights and scores."""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from kontrast.core.errors import UserError
from kontrast.core.experiment import Experiment
from kontrast.runs.folder.folder import TEACHERS, THREADS, TOTALS, Folder, load_tensors
from kontrast.runs.pipeline.evaluation_rows import EARLIER, pinned
from kontrast.runs.run import Run


@dataclass(frozen=True)
class Replay:
    """Differences between a run and its replay.

    Attributes:
        old: Folder of the run.
        new: Folder of its replay.
        step: The first step whose loss differs; None if none does.
        steps: Number of steps of the run and of its replay.
        weight: The first tensor of the encoders that differs; None if none does.
        largest: Largest difference in that tensor; infinity if its shape differs or one of the runs lacks it.
        scores: Name -> (before, now) of scores that differ, baselines and interval ends included.
        changed: Settings that differ, such as `plan.batch: 256 -> 512`.
    """

    old: str
    new: str
    step: int | None
    steps: tuple[int, int]
    weight: str | None
    largest: float
    scores: dict[str, tuple[float | None, float | None]]
    changed: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether losses, weights, scores and number of steps are equal to the last bit."""
        return self.weight is None and self.step is None and not self.scores and self.steps[0] == self.steps[1]

    def to_json(self) -> dict[str, Any]:
        """The replay as plain values, for scripts."""
        return {"identical": self.identical, **asdict(self)}

    def words(self) -> Iterator[str]:
        """Lines for the terminal: IDENTICAL, or the first differences."""
        if self.identical:
            yield f"IDENTICAL  {self.new} repeats {self.old}: losses, weights and scores are equal to the last bit"
            return
        yield f"DIFFERENT  {self.new} does not repeat {self.old} to the last bit"
        if self.steps[0] != self.steps[1]:
            yield f"  steps    {self.steps[0]:,} before, {self.steps[1]:,} now"
        yield f"  losses   {'equal' if self.step is None else f'differ from step {self.step:,} on'}"
        yield f"  weights  {'equal' if self.weight is None else f'{self.weight} differs by up to {self.largest:.2g}'}"
        for name, (before, now) in self.scores.items():
            yield f"  score    {name}: {before} before, {now} now"
        yield from (f"  changed  {change}" for change in self.changed)


def begin(old: Run, out: Path | None) -> Folder:
    """Creates the folder of a replay, in which a resume trains from the first step.

    It holds the old run's experiment and the fingerprint of its rows, by which a resume refuses other rows. A run
    limited by minutes is replayed by its number of steps, with the total steps planned at each step, which set its
    learning rate.

    Args:
        old: The run to replay.
        out: The new folder. Default: runs/NAME-N.

    Raises:
        UserError: The run is not finished, or lacks the steps that it took.
    """
    if not (old.path / "scores.json").is_file():
        raise UserError(f"{old.path} was never finished; {old.folder.go_on}. Only a finished run can be replayed.")
    folder, (experiment, totals) = old.folder, repeatable(old)
    fresh = Folder.fresh(out, old.path.resolve().name.rstrip("0123456789").rstrip("-") or old.path.resolve().name)
    fresh.write("experiment.json", experiment.to_json())
    fresh.write_json("data.json", folder.read_json("data.json"))
    if (old.path / TEACHERS).is_file():
        fresh.write_json(TEACHERS, folder.read_json(TEACHERS))
    if totals:
        fresh.write_json(TOTALS, list(totals.items()))
    used = [(moment["step"], moment.get("threads", 0)) for moment in folder.moments()]
    turns = [(step, after) for (step, before), (_, after) in itertools.pairwise(used) if after != before]
    fresh.write_json(THREADS, turns)
    recorded = folder.read_json("environment.json")
    fresh.write_json("environment.json", {**recorded, "command": f"kontrast replay {old.path}"})
    return fresh


def repeatable(old: Run) -> tuple[Experiment, dict[int, int]]:
    """The experiment of a finished run with what it decided on the way: its evaluated rows, and steps for minutes.

    Returns:
        The experiment, and step -> total steps planned from then on.

    Raises:
        UserError: The run lacks the steps that it took.
    """
    folder = old.folder
    experiment = folder.experiment()
    if experiment.plan.evaluation_rows is None:
        experiment = pinned(experiment, EARLIER)
    totals = folder.totals()
    if experiment.plan.minutes is not None:
        planned = [(moment["step"], moment["total"]) for moment in folder.moments()]
        if not planned:
            raise UserError(
                f"{old.folder.metrics} is gone or damaged; without it the run's number of steps is unknown."
            )
        changes = zip([(0, None), *planned], planned, strict=False)
        totals = dict(now for before, now in changes if before[1] != now[1])
        experiment = replace(experiment, plan=replace(experiment.plan, minutes=None, steps=planned[-1][1]))
    return experiment, totals


def same(old: Run, new: Run) -> Replay:
    """Compares a run with its replay."""
    before, now = (Folder(run.path).moments() for run in (old, new))
    pairs = zip(before, now, strict=False)
    step = next((a["step"] for a, b in pairs if (a["step"], a["loss"]) != (b["step"], b["loss"])), None)
    weight, largest = _weights(*(load_tensors(run.path / "encoder" / "model.safetensors") for run in (old, new)))
    tables = [dict(_numbers(run)) for run in (old, new)]
    names = dict.fromkeys([*tables[0], *tables[1]])
    values = {name: (tables[0].get(name), tables[1].get(name)) for name in names}
    differ = {name: pair for name, pair in values.items() if pair[0] != pair[1]}
    changed = tuple(old.experiment.difference(new.experiment))
    steps = (before[-1]["step"] if before else 0, now[-1]["step"] if now else 0)
    return Replay(str(old.path), str(new.path), step, steps, weight, largest, differ, changed)


def _numbers(run: Run) -> Iterator[tuple[str, float | None]]:
    """Name and value of each score and baseline, interval ends included."""
    for row in run.scores:
        for whose in ("trained", "untrained", "raw"):
            for part, value in (row[whose] or {}).items():
                name = row["name"] if whose == "trained" else f"{row['name']}, {whose}"
                yield (name if part == "value" else f"{name}, {part}"), value


def _weights(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> tuple[str | None, float]:
    """The first tensor that differs, and its largest difference, infinite for other shapes."""
    for name in sorted({*one, *two}):
        if name not in one or name not in two or one[name].shape != two[name].shape:
            return name, float("inf")
        if not torch.equal(one[name], two[name]):
            return name, float((one[name].double() - two[name].double()).abs().max())
    return None, 0.0
