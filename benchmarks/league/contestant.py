"""The contract of a contestant, and the clock that is the same for all."""

import importlib.util
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from benchmarks.league.task import Cells, Task

Embed = Callable[[str, Cells], np.ndarray]
"""(field, cells) -> (n, D) features."""


class Budget:
    """Processor seconds of this process, of all its threads; other work on the machine does not count."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.process_time) -> None:
        self.seconds, self._clock = seconds, clock
        self._began = clock()

    def begin(self) -> None:
        """From now on it counts: what imports its library or loads weights calls this after."""
        self._began = self._clock()

    @property
    def used(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began

    @property
    def share(self) -> float:
        """0 at the start, 1 where the time is up; learning rates follow it."""
        return min(1.0, self.used / self.seconds)

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.used >= self.seconds


class Contestant(ABC):
    """One way to embed a set. Its file's name is its name."""

    title: ClassVar[str]
    """As the table calls it."""

    standing: ClassVar[str]
    """"ours", "peer" (learns on the same rows for the same time), "plain" (no learning by contrast) or "pretrained"."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Packages without which it is skipped."""

    @abstractmethod
    def suits(self, task: Task) -> bool:
        """Whether it can embed this set."""

    @abstractmethod
    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """Learn from the training rows within the budget; returns what embeds cells."""

    scratch: Path
    """A folder that lasts as long as it is used."""

    facts: dict[str, float]
    """What it has to tell of its fit, such as its steps."""

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.facts = scratch, {}

    def lacking(self) -> list[str]:
        """Packages that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]
