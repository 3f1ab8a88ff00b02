"""kontrast's encoder before its first step."""

from benchmarks.league import ours
from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.task import Task


class Untrained(Contestant):
    """What the architecture gives by itself: one step with a learning rate of nothing."""

    title, standing = "kontrast, untrained", "plain"

    def suits(self, task: Task) -> bool:
        """One field; untrained towers of two fields have nothing in common."""
        return not task.pairs

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """Vocabularies and scales of the training rows are fitted, weights are not."""
        embed, self.facts = ours.train(
            task, budget, seed, self.scratch, length={"steps": 1, "settings": {"plan.learning_rate": 0.0}}
        )
        return embed
