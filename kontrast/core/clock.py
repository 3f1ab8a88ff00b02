"""How far a run is, for schedules."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """How far a run is before a step.

    Attributes:
        step: Steps done.
        progress: Share of the run that is done, 0 to 1. It never falls, though a run that minutes end plans its number
            of steps again, and it continues after a resume.
    """

    step: int
    progress: float
