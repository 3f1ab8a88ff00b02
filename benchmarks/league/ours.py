"""What `kontrast train` does with a set, and its clock."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import kontrast as kt
from benchmarks.league.contestant import Budget, Embed
from benchmarks.league.task import Cells, Task, take
from kontrast.reporting.logger import Logger
from kontrast.training.loop import StepRecord

JUDGED = 200
"""Test rows that kontrast itself may judge by, without labels; what the table says comes from the probe alone."""


class Stopwatch(Logger):
    """When the last step was done, and which it was."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.steps, self.seconds = budget, 0, 0.0

    def moment(self, moment: StepRecord) -> None:
        """A step is done."""
        self.steps, self.seconds = moment.step, self.budget.used


@contextlib.contextmanager
def processor_time() -> Iterator[None]:
    """Within, time.perf_counter counts processor seconds, so that a time budget is one of work and not of waiting.

    This is what makes `--minutes` comparable on a machine that does other things too; kontrast itself is unchanged.
    """
    usual = time.perf_counter
    time.perf_counter = time.process_time
    try:
        yield
    finally:
        time.perf_counter = usual


def train(
    task: Task,
    budget: Budget,
    seed: int,
    folder: Path,
    *,
    length: dict[str, Any] | None = None,
    encoders: dict[str, Any] | None = None,
) -> tuple[Embed, dict[str, float]]:
    """`kontrast.train(data, minutes=...)` ; rows of the test are held out by the column `split`.

    Args:
        task: The set.
        budget: Its seconds are the minutes.
        seed: Of the run.
        folder: Where its run folder is made.
        length: Arguments of `kontrast.train` in the place of minutes.
        encoders: Other encoders than the default ones.

    Returns:
        What embeds cells, and facts: steps, and the seconds from the first line to the last step ("fit seconds").
    """
    held_out = task.probed()[1][:JUDGED]
    parts = ["train"] * task.rows()[0] + ["test"] * len(held_out)
    data = {f: [*task.train[f], *take(task.test[f], held_out)] for f in task.kinds} | {"split": parts}
    watch = Stopwatch(budget)
    budget.begin()
    with processor_time():
        run = kt.train(
            data,
            seed=seed,
            fields=dict(task.kinds),
            out=folder / "run",
            logger=watch,
            encoders=encoders,
            **(length or {"minutes": budget.seconds / 60}),
        )

    def embed(field: str, cells: Cells) -> np.ndarray:
        bank = run.embed({field: list(cells)})
        if len(bank.z[field]) != len(cells):
            raise RuntimeError(f"{len(bank.z[field])} of {len(cells)} cells embedded: {folder}")
        return bank.z[field]

    return embed, {"steps": watch.steps, "fit seconds": watch.seconds}
