"""The cells themselves: pixels, or z-normalised samples."""

from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.plain import numbers
from benchmarks.league.task import Task


class Raw(Contestant):
    """Pixels at most 32 to a side; series on a grid of at most 256 steps, z-normalised per channel."""

    title, standing = "raw", "plain"

    def suits(self, task: Task) -> bool:
        """One field of pictures or series, or two of pictures."""
        return set(task.kinds.values()) <= {"image", "series"}

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """Nothing is learned."""
        return lambda field, cells: numbers(cells, task.kinds[field])
