"""Replay: a run once more from its own folder, and whether the same came of it: losses, weights, scores."""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from kontrast.core.errors import UserError
from kontrast.runs.evaluation_rows import EARLIER, pinned
from kontrast.runs.folder import THREADS, TOTALS, Folder, load_tensors
from kontrast.runs.run import Run


@dataclass(frozen=True)
class Replay:
    """What two runs of one experiment have in common.

    step: the first step whose loss differs, None where none does. steps: how many each took. weight: the first tensor
    of the encoder that differs, with `largest` difference anywhere in it; scores: name -> (before, now) where they
    differ, those of raw features, of the untrained encoder and the ends of intervals too.
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
        """Whether it is the same run again, to the last bit."""
        return self.weight is None and self.step is None and not self.scores and self.steps[0] == self.steps[1]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for scripts."""
        return {"identical": self.identical, **asdict(self)}

    def words(self) -> Iterator[str]:
        """For the terminal: IDENTICAL, or what differs first."""
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
    """A new folder that a resume begins to train in: the experiment of the old run, and its data's fingerprint.

    A run that was to last some minutes is asked for the steps that it took, and follows its learning rate: the totals
    that it reckoned with on its way. Other rows than the old run's are refused when they are read.
    """
    folder = old.folder
    if not (old.path / "scores.json").is_file():
        raise UserError(f"{old.path} was never finished; {folder.go_on}. What is not finished cannot be repeated.")
    experiment = folder.experiment()
    if experiment.plan.evaluation_rows is None:
        experiment = pinned(experiment, EARLIER)
    totals = folder.totals()
    if experiment.plan.minutes is not None:
        planned = [(moment["step"], moment["total"]) for moment in folder.moments()]
        if not planned:
            raise UserError(f"{old.folder.metrics} is gone or damaged; without it nobody knows the run's steps.")
        changes = zip([(0, None), *planned], planned, strict=False)
        totals = dict(now for before, now in changes if before[1] != now[1])
        experiment = replace(experiment, plan=replace(experiment.plan, minutes=None, steps=planned[-1][1]))
    fresh = Folder.fresh(out, old.path.resolve().name.rstrip("0123456789").rstrip("-") or old.path.resolve().name)
    fresh.write("experiment.json", experiment.to_json())
    fresh.write_json("data.json", folder.read_json("data.json"))
    if totals:
        fresh.write_json(TOTALS, list(totals.items()))
    used = [(moment["step"], moment.get("threads", 0)) for moment in folder.moments()]
    turns = [(step, after) for (step, before), (_, after) in itertools.pairwise(used) if after != before]
    fresh.write_json(THREADS, turns)
    told = folder.read_json("environment.json")
    fresh.write_json("environment.json", {**told, "command": f"kontrast replay {old.path}"})
    return fresh


def same(old: Run, new: Run) -> Replay:
    """What came of the replay, beside what was there."""
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
    """Every number of the table of scores, of the trained encoder and of what it is set beside, with its interval."""
    for row in run.scores:
        for whose in ("trained", "untrained", "raw"):
            for part, value in (row[whose] or {}).items():
                name = row["name"] if whose == "trained" else f"{row['name']}, {whose}"
                yield (name if part == "value" else f"{name}, {part}"), value


def _weights(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> tuple[str | None, float]:
    """The first tensor that differs, and by how much; infinity where one has not the other's shape or name."""
    for name in sorted({*one, *two}):
        if name not in one or name not in two or one[name].shape != two[name].shape:
            return name, float("inf")
        if not torch.equal(one[name], two[name]):
            return name, float((one[name].double() - two[name].double()).abs().max())
    return None, 0.0
