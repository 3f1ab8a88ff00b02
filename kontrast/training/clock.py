"""A clock that stands still while the process is stopped (SIGSTOP, Ctrl-Z), so that no time budget is eaten by it."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_BEAT = 0.25  # seconds between two looks at the clock: so much of a pause may be counted as work
_LATE = 1.0  # a look that comes later than this, and a SIGCONT with it, was a pause


class Clock:
    """Seconds of `time.perf_counter`, less those in which the process was stopped."""

    def __init__(self) -> None:
        self._seen = time.perf_counter()
        self._gap = (0.0, 0.0)  # when the last late look came, and how late
        self.paused = 0.0

    def now(self) -> float:
        """Seconds since an arbitrary moment."""
        return time.perf_counter() - self.paused

    def look(self) -> None:
        """Notes that the process runs."""
        now = time.perf_counter()
        if now - self._seen > _LATE:
            self._gap = now, now - self._seen
        self._seen = now

    def went_on(self) -> None:
        """Takes out what has passed since the last look, or before it where that came late just now."""
        now = time.perf_counter()
        when, length = self._gap
        self.paused += length if length and now - when < _LATE else now - self._seen
        self._gap, self._seen = (0.0, 0.0), now


@contextmanager
def watched() -> Iterator[Clock]:
    """A clock, and what it needs to notice pauses: a thread that looks, and a handler of SIGCONT.

    Outside of the main thread, and where there is no such signal, pauses are counted as work.
    """
    clock, done = Clock(), threading.Event()
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield clock
        return

    def handle(_: int, __: FrameType | None) -> None:
        clock.went_on()

    def beat() -> None:
        while not done.wait(_BEAT):
            clock.look()

    before = signal.signal(signal.SIGCONT, handle)
    threading.Thread(target=beat, daemon=True, name="kontrast-clock").start()
    try:
        yield clock
    finally:
        done.set()
        signal.signal(signal.SIGCONT, before)
