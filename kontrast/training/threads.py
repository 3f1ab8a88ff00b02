"""Number of threads per step: fewer if other programs occupy the processors for long.

The threads of one operation wait for the slowest, so one shared processor slows all. On Linux the kernel reports how
long a process's threads were ready to run without a processor.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

WINDOW = 15.0  # seconds evaluated together
STARVED = 0.25  # share of ready time spent waiting for a processor; near 0 on an idle machine
FREE = 0.05
TWICE = 2  # windows in a row: load that lasts half a minute probably lasts longer
PAYS = 1.05  # speed-up at which another number of threads is kept
REST = 20  # windows without a trial after one that did not pay


def waiting() -> tuple[float, float] | None:
    """Seconds that all threads computed and waited for a processor until now.

    Returns:
        (computed, waited), or None if the system does not report it.
    """
    computed = waited = 0
    try:
        for task in Path("/proc/self/task").iterdir():
            times = (task / "schedstat").read_text().split()
            computed, waited = computed + int(times[0]), waited + int(times[1])
    except (OSError, ValueError, IndexError):  # a thread that just ended, or a system without this file
        return None
    return computed / 1e9, waited / 1e9


class Threads:
    """Adapts the number of threads that PyTorch computes with to the load of the machine.

    Args:
        chosen: Step -> number, to repeat another run's choices; None to choose.
        look: Returns seconds computed and waited until now. Default from the Linux kernel.
        now: Clock in seconds. Default `time.perf_counter`.
        notify: Receives a message on every change. Default ignores it.
    """

    def __init__(
        self,
        chosen: Mapping[int, int] | None = None,
        *,
        look: Callable[[], tuple[float, float] | None] = waiting,
        now: Callable[[], float] = time.perf_counter,
        notify: Callable[[str], None] = lambda words: None,
    ) -> None:
        self.most = self.number = torch.get_num_threads()
        self._chosen, self._look, self._now, self._notify = chosen, look, now, notify
        self._began, self._seen, self._steps = now(), look(), 0
        self._before: tuple[int, float] | None = None  # (threads, steps per second) that a trial is compared with
        self._signs, self._rest = 0, 0

    def set(self, number: int) -> None:
        """Sets the number of threads from now on."""
        if number != self.number:
            self.number = number
            torch.set_num_threads(number)

    def after(self, step: int) -> None:
        """Call after each step; may change the number of threads for the next one."""
        if self._chosen is not None:
            self.set(self._chosen.get(step, self.number))
            return
        self._steps += 1
        if self.most > 1 and self._now() - self._began >= WINDOW:
            self._weigh()
            self._began, self._seen, self._steps = self._now(), self._look(), 0

    def _weigh(self) -> None:
        """Evaluates a window: tries fewer or more threads, and reverts what did not pay."""
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
                self._notify(f"{threads}: {rate / then:.1f} times as many steps a second")
            return
        if self._rest:
            self._rest -= 1
            return
        fewer, more = share > STARVED and self.number > 1, share < FREE and self.number < self.most
        self._signs = self._signs + 1 if fewer or more else 0
        if self._signs >= TWICE:
            self._before, self._signs = (self.number, rate), 0
            if fewer:
                self._notify(f"other programs take the processors: {share:.0%} of the time is spent waiting for one")
            self.set(self.most if more else max(1, min(self.number - 1, round(self.number * (1 - share)))))
