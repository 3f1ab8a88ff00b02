"""Division of a run's minutes into preparation, training and evaluation."""

import time
from dataclasses import dataclass, field

# Training gets at least this share of the minutes, so that slow data cannot starve it.
LEAST = 0.5
# Target share of the minutes for the work before training, and again for the work after it.
SHARE = 0.15


@dataclass
class Budget:
    """Minutes of a run, counted from its start.

    Attributes:
        minutes: Minutes the user allows for the whole run; None if steps or epochs end it.
        began: `time.perf_counter()` when the run began.
        after: Seconds expected for the work after training. Default 0.
    """

    minutes: float | None
    began: float = field(default_factory=time.perf_counter)
    after: float = 0.0

    @property
    def before(self) -> float:
        """Seconds elapsed since the run began."""
        return time.perf_counter() - self.began

    def training(self) -> float:
        """Seconds left for training, at least `LEAST` of the budget; 0 without a budget."""
        whole = 60 * (self.minutes or 0.0)
        return max(whole - self.before - self.after, LEAST * whole)

    def foreseen(self) -> float:
        """Seconds training gets if preparation and evaluation take their share; 0 without a budget."""
        return (1 - 2 * SHARE) * 60 * (self.minutes or 0.0)

    def words(self) -> str:
        """Division of the minutes for the first screen; empty without a budget."""
        if self.minutes is None:
            return ""
        whole, share = 60 * self.minutes, self.training()
        divided = f"{_clock(self.before)} before, {_clock(share)} training, about {_clock(self.after)} judging"
        over = self.before + share + self.after - whole
        if over <= 1:
            return f"{_clock(whole)}: {divided}"
        return f"{divided}: about {_clock(over)} more than the {_clock(whole)} asked for, of which training gets half"


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
