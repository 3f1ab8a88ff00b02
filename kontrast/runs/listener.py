"""Who listens to a run: a screen, a log, a test. A run says facts, how far it is, and each step's Moment."""

from abc import ABC

from kontrast.training.loop import Moment


class Listener(ABC):  # noqa: B024 - all of it is optional
    """Hears what happens; does nothing unless a listener says otherwise."""

    def fact(self, name: str, words: str) -> None:
        """One line of the first screen: `data`, `split`, `recipe`, ..."""
        return

    def progress(self, what: str, done: int, total: int) -> None:
        """How far something long is."""
        return

    def moment(self, moment: Moment) -> None:
        """A step is done."""
        return


class Silence(Listener):
    """Hears nothing."""
