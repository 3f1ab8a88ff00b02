"""Contract of a logger, which observes a run: facts, progress, and each step's record."""

from abc import ABC
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kontrast.evaluation.look import Look
from kontrast.training.loop import StepRecord


class Logger(ABC):  # noqa: B024 - every method is optional
    """Observes a run, never steers it; every method does nothing unless a logger overrides it."""

    ROOM = "trackers"

    def begun(self, folder: Path) -> None:
        """Called when the run folder and its experiment.json exist; again when a run resumes.

        Args:
            folder: Run folder.
        """
        return

    def ended(self, folder: Path) -> None:
        """Called last: the run finished (then scores.json exists), was interrupted or failed.

        Args:
            folder: Run folder.
        """
        return

    def fact(self, name: str, words: str) -> None:
        """Called for each line of the first screen.

        Args:
            name: `data`, `split`, `recipe` ...
            words: The text of the line; may have several lines.
        """
        return

    def progress(self, what: str, done: int, total: int) -> None:
        """Called repeatedly during long work.

        Args:
            what: Name of the work.
            done: Units done.
            total: Units in all.
        """
        return

    def moment(self, moment: StepRecord) -> None:
        """Called after each training step with its record."""
        return

    def look(self, look: Look) -> None:
        """Called after each evaluation of validation rows during training, the first one before the first step."""
        return


class NullLogger(Logger):
    """Logger that ignores everything."""


class Loggers(Logger):
    """Forwards to several loggers, in order.

    Args:
        loggers: Loggers to forward to.
    """

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self.loggers = tuple(loggers)

    def begun(self, folder: Path) -> None:
        """Forwards to every logger."""
        for logger in self.loggers:
            logger.begun(folder)

    def ended(self, folder: Path) -> None:
        """Forwards to every logger, the last first, even if one of them fails."""
        with ExitStack() as stack:
            for logger in self.loggers:
                stack.callback(logger.ended, folder)

    def fact(self, name: str, words: str) -> None:
        """Forwards to every logger."""
        for logger in self.loggers:
            logger.fact(name, words)

    def progress(self, what: str, done: int, total: int) -> None:
        """Forwards to every logger."""
        for logger in self.loggers:
            logger.progress(what, done, total)

    def moment(self, moment: StepRecord) -> None:
        """Forwards to every logger."""
        for logger in self.loggers:
            logger.moment(moment)

    def look(self, look: Look) -> None:
        """Forwards to every logger."""
        for logger in self.loggers:
            logger.look(look)


@contextmanager
def hearing(logger: Logger, folder: Path) -> Iterator[None]:
    """Calls the logger's `begun` on entry and its `ended` on exit, even after an error."""
    logger.begun(folder)
    try:
        yield
    finally:
        logger.ended(folder)
