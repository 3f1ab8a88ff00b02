"""How many threads a step computes with: fewer of them where other programs take the processors for long.

The threads of one operation wait for the slowest of them, so one processor that is shared slows all. On Linux the
kernel tells how long a process's threads were ready to run and had no processor.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

WINDOW = 15.0  # seconds that are looked at together
STARVED = 0.25  # share of the time ready to run that was spent waiting for a processor; next to 0 on an idle machine
FREE = 0.05
TWICE = 2  # windows in a row: what other programs do for half a minute, they may do for longer
PAYS = 1.05  # another number of threads is kept where it is so much faster
REST = 20  # windows without a trial, after one that did not pay


def waiting() -> tuple[float, float] | None:
    """(seconds computed, seconds waited for a processor) of all threads so far; None where the system does not say."""
    computed = waited = 0
    try:
        for task in Path("/proc/self/task").iterdir():
            told = (task / "schedstat").read_text().split()
            computed, waited = computed + int(told[0]), waited + int(told[1])
    except (OSError, ValueError, IndexError):  # a thread that ended between the two; no such file on other systems
        return None
    return computed / 1e9, waited / 1e9


class Threads:
    """Watches how a run gets on, and sets the number of threads that PyTorch computes with.

    Args:
        chosen: Step -> number, where another run's choices are repeated; None to choose.
        look: What says how long the process waited for processors.
        told: Hears, in words, of every change.
    """

    def __init__(
        self,
        chosen: Mapping[int, int] | None = None,
        *,
        look: Callable[[], tuple[float, float] | None] = waiting,
        now: Callable[[], float] = time.perf_counter,
        told: Callable[[str], None] = lambda words: None,
    ) -> None:
        self.most = self.number = torch.get_num_threads()
        self._chosen, self._look, self._now, self._told = chosen, look, now, told
        self._began, self._seen, self._steps = now(), look(), 0
        self._before: tuple[int, float] | None = None  # (threads, steps a second) that a trial is held against
        self._signs, self._rest = 0, 0

    def set(self, number: int) -> None:
        """Computes with so many from now on."""
        if number != self.number:
            self.number = number
            torch.set_num_threads(number)

    def after(self, step: int) -> None:
        """A step is done; the next one may be computed by another number of threads."""
        if self._chosen is not None:
            self.set(self._chosen.get(step, self.number))
            return
        self._steps += 1
        if self.most > 1 and self._now() - self._began >= WINDOW:
            self._weigh()
            self._began, self._seen, self._steps = self._now(), self._look(), 0

    def _weigh(self) -> None:
        """What a window says: try fewer, or more again, and take back what did not pay."""
        seen = self._look()
        if seen is None or self._seen is None:
            return
        computed, waited = seen[0] - self._seen[0], seen[1] - self._seen[1]
        share, rate = waited / max(computed + waited, 1e-9), self._steps / (self._now() - self._began)
        if self._before is not None:
            number, then = self._before
            self._before, self._signs = None, 0
            if rate < PAYS * then and number != self.number:
                self.set(number)
                self._rest = REST
            else:
                threads = f"{self.number} thread{'s' * (self.number > 1)} instead of {number}"
                self._told(f"{threads}: {rate / then:.1f} times as many steps a second")
            return
        if self._rest:
            self._rest -= 1
            return
        fewer, more = share > STARVED and self.number > 1, share < FREE and self.number < self.most
        self._signs = self._signs + 1 if fewer or more else 0
        if self._signs >= TWICE:
            self._before, self._signs = (self.number, rate), 0
            if fewer:
                self._told(f"other programs take the processors: {share:.0%} of the time is spent waiting for one")
            self.set(self.most if more else max(1, min(self.number - 1, round(self.number * (1 - share)))))
