"""Interruption of a run by Ctrl-C or SIGTERM: noted during training, at once before and after it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from kontrast.core.errors import Interrupted
from kontrast.runs.folder.folder import Folder


class Stop:
    """Number of the signal that asked to stop; 0 for none."""

    number: int = 0


@contextmanager
def signals() -> Iterator[Stop]:
    """Records Ctrl-C and SIGTERM for the loop; a second one ends at once."""
    stop = Stop()

    def wish(number: int, _: FrameType | None) -> None:
        if stop.number:
            raise KeyboardInterrupt
        stop.number = number

    with _handled(wish):
        yield stop


@contextmanager
def stoppable(folder: Folder) -> Iterator[None]:
    """Context outside the training loop in which Ctrl-C and SIGTERM raise Interrupted at once."""

    def end(number: int, _: FrameType | None) -> None:
        raise Interrupted(f"stopped; {folder.go_on}", number)

    with _handled(end):
        yield


@contextmanager
def _handled(by: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Installs a handler for both signals in the main thread; other threads receive none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old: dict[int, Any] = {n: signal.signal(n, by) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for n, handler in old.items():
            signal.signal(n, handler)
