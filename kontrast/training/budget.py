"""How the minutes of a run are divided: what went by before training, training, and what is foreseen after it."""

import time
from dataclasses import dataclass, field

# Training gets this share of the minutes, however long the rest takes.
LEAST = 0.5
# All that comes before training is to take no more than this share of them, and so is all that comes after it.
SHARE = 0.15


@dataclass
class Budget:
    """The minutes of a run from its first line on.

    Attributes:
        minutes: What the user allows for all of the run; None where steps or epochs end it.
        began: `time.perf_counter()` when the run began.
        after: Seconds foreseen for what comes after training.
    """

    minutes: float | None
    began: float = field(default_factory=time.perf_counter)
    after: float = 0.0

    @property
    def before(self) -> float:
        """Seconds that have gone by."""
        return time.perf_counter() - self.began

    def training(self) -> float:
        """Seconds that are left for training, at least `LEAST` of all; 0 where no minutes are named."""
        whole = 60 * (self.minutes or 0.0)
        return max(whole - self.before - self.after, LEAST * whole)

    def foreseen(self) -> float:
        """Seconds that training will have where the rest takes its share; 0 where no minutes are named."""
        return (1 - 2 * SHARE) * 60 * (self.minutes or 0.0)

    def words(self) -> str:
        """For the first screen, when training begins; "" where no minutes are named."""
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
