"""Speed of training over the last steps."""

from collections.abc import Callable


class Speed:
    """Speed and data wait over the last 50 steps."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.last = now, now()
        self.steps: list[tuple[float, int, float]] = []

    def tick(self, rows: int, waited: float) -> None:
        """Notes a step: its rows, and the seconds waited for them."""
        now = self.now()
        # a coarse clock may stand still for a step
        self.steps = [*self.steps[-49:], (max(now - self.last, 1e-9), rows, waited)]
        self.last = now

    @property
    def seconds_a_step(self) -> float:
        """Mean seconds per step."""
        return sum(s for s, _, _ in self.steps) / len(self.steps)

    @property
    def rate(self) -> float:
        """Rows per second."""
        return sum(n for _, n, _ in self.steps) / sum(s for s, _, _ in self.steps)

    @property
    def wait(self) -> float:
        """Share of the time spent waiting for data."""
        return sum(w for _, _, w in self.steps) / sum(s for s, _, _ in self.steps)
