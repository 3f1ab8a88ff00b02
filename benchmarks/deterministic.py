"""What it costs that the same command twice gives the same weights: steps a second with --deterministic and without.

    python -m benchmarks.deterministic --steps 10 --rounds 5 --threads 1

The default recipes for images, texts and series, on generated rows, in this process: one run with deterministic
operations, one without, in turns, `rounds` times each; the first steps of each are left out. Both compute in the number
format that the deterministic default chooses by its rule; `stopwatch` is what --no-deterministic would choose, and how
many times faster it found that. Speeds are steps a second of processor time, which other work on the machine disturbs
least, over all steps of a round.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kontrast.core.experiment import Experiment, Plan, Source
from kontrast.core.ranks import Ranks
from kontrast.core.task_choice import one_task
from kontrast.data.dataset.dataset import prepare
from kontrast.data.dataset.reader import Reader
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.recipes.choosing import choose as choose_recipe
from kontrast.reporting.logger import Logger
from kontrast.runs.build import learner_of, modalities_of
from kontrast.runs.folder.folder import Folder
from kontrast.runs.model import Model
from kontrast.runs.pipeline.step_rows import first_views, orders_of
from kontrast.runs.pipeline.train import train
from kontrast.training.determinism import repeatable
from kontrast.training.launcher import alone
from kontrast.training.loop import StepRecord
from kontrast.training.precision import PrecisionMode, choose, forced

COLD = 2  # steps left out


@dataclass
class Times(Logger):
    """Seconds of processor time from Moment to Moment."""

    seconds: list[float] = field(default_factory=list)
    last: float = 0.0

    def moment(self, moment: StepRecord) -> None:
        """A step more."""
        now = time.process_time()
        self.seconds.append(now - self.last)
        self.last = now


def images(n: int) -> dict[str, Any]:
    return {"x": np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)}


def texts(n: int) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    words = [f"word{k}" for k in range(5000)]
    return {"x": [" ".join(draw.choice(words, draw.integers(5, 40))) for _ in range(n)]}


def series(n: int) -> dict[str, Any]:
    return {"x": np.random.default_rng(0).standard_normal((n, 128)).cumsum(1).astype(np.float32)}


RECIPES: dict[str, Callable[[int], dict[str, Any]]] = {"image": images, "text": texts, "series": series}


def measured(name: str, batch: int, steps: int, rounds: int) -> str:
    """The table's line of a recipe."""
    cpu, speeds = torch.device("cpu"), {"auto": [], "off": []}
    with tempfile.TemporaryDirectory() as scratch, alone(cpu) as fleet:
        cache = Path(scratch) / "cache"
        frame = open_frame(RECIPES[name](3 * batch), cache=cache)
        fields = infer(frame, {}, None)
        plan = Plan(batch=batch, steps=steps + COLD)
        experiment, _ = choose_recipe(fields, Experiment(Source(held_out=0.0), tasks=one_task(""), plan=plan), None)
        plan, modalities = experiment.plan, modalities_of(experiment)
        data = prepare(frame, fields, modalities, source=experiment.source, seed=0, cache=cache, fit=True)
        model = Model(experiment, modalities, learner_of(experiment, modalities))
        first = first_views(model, Reader(data, modalities), orders_of(model, data), cpu, Ranks(alone=True))
        rule, _ = choose(model.learner, first, plan, steps)
        found, _ = choose(model.learner, first, replace(plan, deterministic="off", compile="off"), steps)
        for turn in range(rounds):
            for how in ("auto", "off") if turn % 2 else ("off", "auto"):
                told = replace(experiment, plan=replace(forced(plan, rule), deterministic=how))
                heard, folder = Times(), Folder.fresh(Path(scratch) / f"{turn}-{how}", name)
                fresh = Model(told, modalities, learner_of(told, modalities))
                with repeatable(told.plan, cpu):
                    train(fresh, data, folder, heard, fleet, resume=False)
                speeds[how].append((len(heard.seconds) - COLD) / sum(heard.seconds[COLD:]))
    costs = [off / on - 1 for on, off in zip(speeds["auto"], speeds["off"], strict=True)]
    with_, without = (_spread(speeds[how], "{:.2f}") for how in ("auto", "off"))
    by_hand = f"{_formats(found)}{f' ({found.gain:.2f} times float32)' if found.gain else ''}"
    return f"| {name} | {with_} | {without} | {_spread(costs, '{:+.1%}')} | {_formats(rule)} | {by_hand} |"


def _spread(values: list[float], shape: str) -> str:
    middle, low, high = (shape.format(v) for v in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})"


def _formats(mode: PrecisionMode) -> str:
    return replace(mode, gain=None).words


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    asked.add_argument("--batch", type=int, default=256)
    asked.add_argument("--steps", type=int, default=10, help="a round")
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--threads", type=int, default=1)
    given = asked.parse_args()
    torch.set_num_threads(given.threads)
    print("| recipe | steps a core second, deterministic | not | what it costs | by the rule | by the stopwatch |")
    print("|---|---|---|---|---|---|")
    for name in given.recipes:
        print(measured(name, given.batch, given.steps, given.rounds), flush=True)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("kontrast", "torch"))
    print(f"\n{versions}; {given.threads} threads, {os.cpu_count()} cores; batches of {given.batch}")


if __name__ == "__main__":
    main()
