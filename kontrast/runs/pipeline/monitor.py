"""Monitor of a run: evaluates validation rows while it trains, within a share of the time."""

import time
from dataclasses import dataclass, field, replace

import numpy as np

from kontrast.core.number_format import clock, many, number, share
from kontrast.core.ranks import Ranks
from kontrast.core.shared_work import SharedWork
from kontrast.data.dataset.dataset import Dataset
from kontrast.evaluation.look import NUMBERS, Look, look_values
from kontrast.runs.folder.folder import Folder
from kontrast.runs.folder.monitor_file import append_look, keep_looks
from kontrast.runs.model import Model
from kontrast.runs.pipeline.best_weights import hashed
from kontrast.runs.pipeline.held_pairs import positive_pairs
from kontrast.training.learner import Learner
from kontrast.training.look_budget import LookBudget
from kontrast.training.undisturbed import undisturbed

ROWS, TAUGHT = 256, 512  # largest numbers of validation rows, and of labelled training rows that kNN learns from
DRAWS = 2  # of the views of each row, for LiDAR


@dataclass
class Monitor:
    """Evaluates validation rows at the start, at the end, and in between as often as its share of the time allows.

    It changes nothing of training: weights and random numbers are the same to the last bit with and without it.

    Attributes:
        folder: The run folder; each look is a line of its validation.jsonl.
        model: The model, for its fields and experiment.
        data: The dataset.
        rows: Indices of the validation rows, the same for all looks.
        taught: Indices of the training rows that kNN learns from; empty without labels.
        budget: When to look next.
        looks: Looks of this run until now, as (step, values).
    """

    folder: Folder
    model: Model
    data: Dataset
    rows: np.ndarray
    taught: np.ndarray
    budget: LookBudget
    looks: list[tuple[int, dict[str, float]]] = field(default_factory=list)

    @staticmethod
    def begun(folder: Folder, model: Model, data: Dataset, step: int) -> "Monitor | None":
        """Creates the monitor of a run at a step; None if there are no validation rows, or the plan asks for none.

        Looks after that step are forgotten, since a resumed run takes them again.
        """
        part, seed = model.experiment.plan.monitor, model.experiment.split_seed
        rows = np.flatnonzero(data.validation)
        if not part or len(rows) < 2:
            return None
        rows = np.sort(hashed(rows, data, seed + 1)[:ROWS])
        taught = np.zeros(0, int)
        if data.labels is not None:
            known = np.flatnonzero(data.training & (data.labels != ""))
            taught = np.sort(hashed(known, data, seed)[:TAUGHT])
        made = Monitor(folder, model, data, rows, taught, LookBudget(part))
        for look in keep_looks(folder, step):
            made.budget.took(look["step"], look["cost"])
            made.looks.append((look["step"], look["values"]))
        return made

    def due(self, step: int, total: int, seconds: float) -> bool:
        """Whether the rows are evaluated after this step."""
        return self.budget.due(step, total, seconds)

    def look(self, learner: Learner, step: int, seconds: float, ranks: Ranks | None = None) -> Look:
        """Evaluates the rows with the current weights and records the result.

        The embedding is shared over ranks, all of which call this; the values are those of the first.

        Args:
            learner: The learner with the weights to evaluate; its state is left as it was.
            step: Steps done.
            seconds: Seconds of training until now.
            ranks: Rank and number of processes. Default: one process.
        """
        began = time.perf_counter()
        with undisturbed(learner):
            values = self._values(replace(self.model, learner=learner), SharedWork(ranks or Ranks(alone=True)))
        cost = time.perf_counter() - began
        self.budget.took(step, cost)
        found = Look(step, seconds + cost, cost, len(self.rows), values)
        self.looks.append((step, values))
        append_look(self.folder, found)
        return found

    def words(self, seconds: float) -> str:
        """The last numbers, the best ones, and what the looks cost, for the terminal.

        Args:
            seconds: Seconds of training.
        """
        parts = []
        for key, about in NUMBERS.items():
            known = [(values[key], step) for step, values in self.looks if key in values]
            if known:
                best, step = max(known)
                kept = f" (best {number(best)} at step {step:,})" if about.rises and best > known[-1][0] else ""
                parts.append(f"{about.title} {number(known[-1][0])}{kept}")
        spent = self.budget.spent
        looks, rows = many(len(self.looks), "look"), many(len(self.rows), "validation row")
        took = f"{looks} at {rows} in {clock(spent)}, {share(spent / max(seconds, 1e-9))} of training"
        return f"{' · '.join(parts)}\n{took}"

    def _values(self, model: Model, work: SharedWork) -> dict[str, float]:
        from threadpoolctl import threadpool_limits

        draws = [positive_pairs(model, self.data, self.rows, draw, work=work) for draw in range(DRAWS)]
        test = model.embed(self.data, self.rows, work=work)
        train = model.embed(self.data, self.taught, work=work) if len(self.taught) else test.take(np.zeros(0, int))
        if not work.first:
            return {}
        with threadpool_limits(1):  # many small operations
            return look_values(train, test, draws)
