"""Keeps the best weights of a run, by its validation rows."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from kontrast.core import random_streams, renamed
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.core.number_format import many
from kontrast.core.shards import whole
from kontrast.core.shared_work import SharedWork
from kontrast.data.dataset.dataset import Dataset
from kontrast.evaluation.linear import Linear
from kontrast.runs.folder.folder import Folder, load_tensors
from kontrast.runs.model import Model
from kontrast.runs.pipeline import evaluation_rows
from kontrast.runs.pipeline.held_pairs import measured
from kontrast.training.launcher import Launcher
from kontrast.training.learner import Learner
from kontrast.training.loop import TrainState
from kontrast.training.undisturbed import undisturbed

LOOKS = 10  # evaluations at equal distances, besides the start
TAUGHT, ASKED = 2000, 1000  # largest number of rows that fit a probe, and of rows that test it
RECORD = "checkpoints/kept.json"


@dataclass
class Keeper:
    """Evaluates the weights at the start and ten times during training, and keeps the best.

    With labels, weights are ranked by a linear probe, ties by the AUC of positive against random pairs; without labels
    by that AUC. Of equal weights the later are kept. The values depend on the run's state alone, so that a resumed run
    finds the same.

    Attributes:
        folder: The run folder.
        model: The model, for its fields and experiment.
        data: The dataset with its validation rows.
        keeps: Whether the best weights are kept; if not, evaluations only serve to stop early.
        looks: Step and value of each evaluation so far.
    """

    folder: Folder
    model: Model
    data: Dataset
    keeps: bool = True
    looks: list[tuple[int, tuple[float, ...]]] = field(default_factory=list)

    @staticmethod
    def begun(folder: Folder, model: Model, data: Dataset, step: int) -> "Keeper":
        """Creates the keeper of a run at a step; later evaluations are forgotten and repeated.

        Raises:
            UserError: There are fewer than two validation rows.
        """
        if data.validation.sum() < 2:
            raise UserError(
                f"{data.name}: the best state is chosen by validation rows, and {data.validation.sum()} of "
                f"{len(data):,} are (source.validation={model.experiment.source.validation}). Keep some apart: --set "
                "source.validation=0.1; name them in a split column, or keep the last state: --keep last, without "
                "plan.patience."
            )
        made = Keeper(folder, model, data, model.experiment.plan.keep == "best-by-validation")
        if (folder.path / RECORD).is_file():
            made.looks = [(at, tuple(value)) for at, value in folder.read_json(RECORD) if at <= step]
        return made

    def due(self, step: int, total: int) -> bool:
        """Whether the weights are evaluated after this step."""
        return step * LOOKS // max(total, 1) > (step - 1) * LOOKS // max(total, 1)

    def look(self, course: TrainState) -> bool:
        """Evaluates the current weights and keeps the best; all processes must call it.

        Returns:
            Whether they are the best so far.
        """
        learner = course.trained()
        with undisturbed(learner):
            value = self._value(learner, SharedWork(course.fleet.ranks))
        best = course.fleet.any(course.fleet.first and value >= max((v for _, v in self.looks), default=value))[0]
        self.looks.append((course.step, value))
        if best and self.keeps:
            self.folder.save_tensors(self._file(course.step), {k: whole(v) for k, v in learner.state_dict().items()})
        self.folder.write(RECORD, json.dumps(self.looks) + "\n")
        return best

    def tidy(self) -> None:
        """Removes all kept weights but the best; call it after a checkpoint."""
        for file in (self.folder.path / "checkpoints").glob("kept-*.safetensors"):
            if self.folder.writes and file.name != Path(self._file(self.best)).name:
                file.unlink()

    @property
    def best(self) -> int:
        """The step of the weights that are kept."""
        return max(self.looks, key=lambda look: (look[1], look[0]))[0]

    @property
    def waited(self) -> int:
        """Number of evaluations since the first of the best ones."""
        values = [value for _, value in self.looks]
        return len(values) - 1 - values.index(max(values)) if values else 0

    def restore(self, learner: Learner, fleet: Launcher) -> None:
        """Loads the weights that are kept into a learner; all processes must call it, and the first one knows which."""
        best = int(fleet.broadcast(str(self.best)))
        learner.load_state_dict(renamed.tensors(load_tensors(self.folder.path / self._file(best))))

    def words(self, steps: int) -> str:
        """Which weights were kept, as a clause.

        Args:
            steps: Number of steps of the run.
        """
        by = "linear accuracy" if len(self.looks[0][1]) == 2 else "the AUC of their pairs"
        which = "the untrained start" if self.best == 0 else f"the state of step {self.best:,} of {steps:,}"
        on = many(len(self._chosen), "validation row")
        return f"{which} was kept, the best of {len(self.looks)} by {by} on {on}"

    @property
    def _chosen(self) -> np.ndarray:
        return _validation(self.data, self.model.experiment.seed)

    def _file(self, step: int) -> str:
        return f"checkpoints/kept-{step:09d}.safetensors"

    def _value(self, learner: Learner, work: SharedWork) -> tuple[float, ...]:
        """What weights are ranked by; nothing in all processes but the first."""
        model, rows = replace(self.model, learner=learner), self._chosen
        most = self.model.experiment.plan.evaluation_rows or ASKED
        found = measured(model, self.data, rows, most, work)
        auc = 0.5 if found is None else found.value
        if not _labelled(self.data, rows):
            return (auc,) if work.first else ()
        training = np.flatnonzero(self.data.training)
        taught = hashed(training, self.data, self.model.experiment.seed)[: min(TAUGHT, evaluation_rows.TAUGHT * most)]
        train, test = (self._bank(model, some, work) for some in (taught, rows[: min(ASKED, most)]))
        if not work.first:
            return ()
        probe = Linear()(train, test)
        return (next((one.value for one in probe.values() if one.field is None), 0.0), auc)

    def _bank(self, model: Model, rows: np.ndarray, work: SharedWork) -> EmbeddingTable:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            return model.embed(self.data, np.sort(rows), work=work)


def _validation(data: Dataset, seed: int) -> np.ndarray:
    """The validation rows, in an order that depends on the seed and their ids alone."""
    return hashed(np.flatnonzero(data.validation), data, seed + 1)


def hashed(rows: np.ndarray, data: Dataset, seed: int) -> np.ndarray:
    """Rows in an order that depends on the seed and their ids alone."""
    return rows[np.argsort(random_streams.mix(torch.from_numpy(data.keys[rows]) + seed).numpy())]


def _labelled(data: Dataset, rows: np.ndarray) -> bool:
    """Whether a probe has two classes to learn and labelled rows to be tested on."""
    if data.labels is None:
        return False
    taught, asked = data.labels[data.training], data.labels[rows]
    return len(np.unique(taught[taught != ""])) > 1 and bool((asked != "").any())
