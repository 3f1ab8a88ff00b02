"""Who listens to a run: a screen, a log, a test. A run says facts, how far it is, and each step's Moment."""

from abc import ABC
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kontrast.training.loop import StepRecord


class Logger(ABC):  # noqa: B024 - all of it is optional
    """Hears what happens; does nothing unless a listener says otherwise."""

    ROOM = "listeners"

    def begun(self, folder: Path) -> None:
        """The run folder is there, with experiment.json; a resumed run begins again."""
        return

    def ended(self, folder: Path) -> None:
        """Nothing more comes: finished (then scores.json is there), interrupted or failed."""
        return

    def fact(self, name: str, words: str) -> None:
        """One line of the first screen: `data`, `split`, `recipe`, ..."""
        return

    def progress(self, what: str, done: int, total: int) -> None:
        """How far something long is."""
        return

    def moment(self, moment: StepRecord) -> None:
        """A step is done."""
        return


class NullLogger(Logger):
    """Hears nothing."""


class Loggers(Logger):
    """Tells several listeners, in their order."""

    def __init__(self, listeners: Sequence[Logger]) -> None:
        self.listeners = tuple(listeners)

    def begun(self, folder: Path) -> None:
        """To all."""
        for listener in self.listeners:
            listener.begun(folder)

    def ended(self, folder: Path) -> None:
        """To all, the last first, even where one of them fails."""
        with ExitStack() as stack:
            for listener in self.listeners:
                stack.callback(listener.ended, folder)

    def fact(self, name: str, words: str) -> None:
        """To all."""
        for listener in self.listeners:
            listener.fact(name, words)

    def progress(self, what: str, done: int, total: int) -> None:
        """To all."""
        for listener in self.listeners:
            listener.progress(what, done, total)

    def moment(self, moment: StepRecord) -> None:
        """To all."""
        for listener in self.listeners:
            listener.moment(moment)


@contextmanager
def hearing(listener: Logger, folder: Path) -> Iterator[None]:
    """A run of which the listener hears the beginning and, whatever happens, the end."""
    listener.begun(folder)
    try:
        yield
    finally:
        listener.ended(folder)
