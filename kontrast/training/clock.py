"""Clock that excludes time in which the process is stopped (SIGSTOP, Ctrl-Z)."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_BEAT = 0.25  # seconds between two looks: at most this much of a pause counts as work
_LATE = 1.0  # seconds: a later look together with a SIGCONT was a pause


class Clock:
    """Seconds of `time.perf_counter`, minus those in which the process was stopped.

    Attributes:
        paused: Seconds excluded until now.
    """

    def __init__(self) -> None:
        self._seen = time.perf_counter()
        self._gap = (0.0, 0.0)  # (time of the last late look, seconds it was late)
        self.paused = 0.0

    def now(self) -> float:
        """Seconds since an arbitrary moment."""
        return time.perf_counter() - self.paused

    def look(self) -> None:
        """Records that the process is running."""
        now = time.perf_counter()
        if now - self._seen > _LATE:
            self._gap = now, now - self._seen
        self._seen = now

    def went_on(self) -> None:
        """Excludes the time since the last look, or its gap if it came late."""
        now = time.perf_counter()
        when, length = self._gap
        self.paused += length if length and now - when < _LATE else now - self._seen
        self._gap, self._seen = (0.0, 0.0), now


@contextmanager
def watched() -> Iterator[Clock]:
    """Clock that notices pauses, through a background thread and a handler of SIGCONT.

    Outside the main thread and on Windows, which has no such signal, pauses count as work.
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
