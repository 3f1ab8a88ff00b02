"""kontrast as it comes: no option but the time."""

from benchmarks.league import ours
from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.task import Task


class Kontrast(Contestant):
    """`kontrast train DATA --minutes M`."""

    title, standing = "kontrast", "ours"

    def suits(self, task: Task) -> bool:
        """All."""
        return True

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """The data decides the recipe."""
        embed, self.facts = ours.train(task, budget, seed, self.scratch)
        return embed
