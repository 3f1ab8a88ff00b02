"""Who listens to a run: a screen, a log, a test. A run says facts, how far it is, and each step's Moment."""

from abc import ABC
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kontrast.training.loop import StepRecord


class Logger(ABC):  # noqa: B024 - all of it is optional
    """Hears what happens; does nothing unless a logger says otherwise."""

    ROOM = "trackers"

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
    """Tells several loggers, in their order."""

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self.loggers = tuple(loggers)

    def begun(self, folder: Path) -> None:
        """To all."""
        for logger in self.loggers:
            logger.begun(folder)

    def ended(self, folder: Path) -> None:
        """To all, the last first, even where one of them fails."""
        with ExitStack() as stack:
            for logger in self.loggers:
                stack.callback(logger.ended, folder)

    def fact(self, name: str, words: str) -> None:
        """To all."""
        for logger in self.loggers:
            logger.fact(name, words)

    def progress(self, what: str, done: int, total: int) -> None:
        """To all."""
        for logger in self.loggers:
            logger.progress(what, done, total)

    def moment(self, moment: StepRecord) -> None:
        """To all."""
        for logger in self.loggers:
            logger.moment(moment)


@contextmanager
def hearing(logger: Logger, folder: Path) -> Iterator[None]:
    """A run of which the logger hears the beginning and, whatever happens, the end."""
    logger.begun(folder)
    try:
        yield
    finally:
        logger.ended(folder)
