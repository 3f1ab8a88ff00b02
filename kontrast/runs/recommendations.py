"""Items that a run recommends after histories, and how well it finds the last item of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.data.dataset.dataset import Dataset
from kontrast.evaluation.recommendation import DRAWN, drawn, hits_and_gains, places
from kontrast.modalities.history.history import SPECIAL, History
from kontrast.reporting.logger import Logger, NullLogger
from kontrast.runs.model import CHUNK, Model
from kontrast.runs.opened import opened
from kontrast.tasks.pretext.next_item import NextItem

if TYPE_CHECKING:
    from kontrast.runs.run import Run


@dataclass(frozen=True)
class Recommender:
    """The parts of a model that recommend: the task `next_item`, its field, and vectors of all items (V, D)."""

    model: Model
    task: NextItem
    history: History
    vectors: Tensor

    @property
    def field(self) -> str:
        """The field of histories."""
        return self.task.field

    def scores(self, rows: list[np.ndarray]) -> np.ndarray:
        """Score of each item after each packed row, (N, V), of the items alone."""
        x = self.history.preprocess(self.history.collate(rows)).to(self.vectors.device)
        return self.task.scores(_features(self.model, self.field, x), self.vectors).cpu().numpy()


@torch.no_grad()
def recommender(model: Model) -> Recommender:
    """What recommends in a model.

    Raises:
        UserError: The run has no task `next_item`.
    """
    task = next((task for task in model.learner.parts.values() if isinstance(task, NextItem)), None)
    if task is None:
        named = ", ".join(type(part).__name__.lower() for part in model.learner.parts.values())
        raise UserError(
            f"this run recommends no items: its tasks are {named}. Train one with --recipe cl4srec, or with "
            "--task next_item."
        )
    history = model.modalities[task.field]
    assert isinstance(history, History)
    model.learner.eval()
    device = next(model.learner.parameters()).device
    numbers = torch.arange(SPECIAL, SPECIAL + len(history.names), device=device)
    vectors = [task.vectors(_features(model, task.field, part[:, None]))[:, 0] for part in numbers.split(4096)]
    return Recommender(model, task, history, torch.cat(vectors))


def recommend(
    run: "Run",
    data: object,
    *,
    k: int = 10,
    seen: bool = False,
    outside: bool = False,
    logger: Logger | None = None,
) -> list[dict[str, Any]]:
    """Recommends items after each history, with what the task `next_item` learned.

    Args:
        run: A run with that task.
        data: The rows: a path or an object in memory, as for `kontrast.train`.
        k: Items per row, 1 or more; fewer if there are no more.
        seen: Whether items that a row holds may be recommended to it.
        outside: Whether cells may name files outside of the data's folder; such rows are left out otherwise.
        logger: Receives progress and the rows left out. Default: none.

    Returns:
        {"id", "items", "scores"} per row that has a history, best first.

    Raises:
        UserError: The run has no such task, its field is not in the data, or `k` is below 1.
    """
    if k < 1:
        raise UserError(f"recommend: k={k}; expected 1 or more.")
    model = Model.load(run.folder)
    with opened(model, data, outside, logger or NullLogger()) as dataset:
        return recommended(model, dataset, k, seen=seen)


def measure(run: "Run", data: object, *, outside: bool = False, logger: Logger | None = None) -> list[dict[str, Any]]:
    """Measures how well the last item of each row is found after the others, beside the commonest items.

    Items of a row itself take no part. A last item that training did not know is not found.

    Args:
        run: A run with the task `next_item`.
        data: The rows, whose last items training must not have seen (`views.FIELD.left_out=1`).
        outside: Whether cells may name files outside of the data's folder; such rows are left out otherwise.
        logger: Receives progress and the rows left out. Default: none.

    Returns:
        One {"name", "among", "run", "popularity", "rows"} per number, "among" being "all items" or "99 drawn items";
        the latter is left out if there are too few items.

    Raises:
        UserError: The run has no such task, its field is not in the data, or no row has two items.
    """
    model = Model.load(run.folder)
    with opened(model, data, outside, logger or NullLogger()) as dataset:
        return measured(model, dataset, random_streams.folded(model.experiment.seed))


def recommended(model: Model, data: Dataset, k: int, *, seen: bool = False) -> list[dict[str, Any]]:
    """The k items with the highest scores for each row; as `recommend`."""
    made, found = recommender(model), []
    for rows, packed in _batches(made, data):
        score = made.scores(packed)
        if not seen:
            score[_seen(packed, score.shape[1])] = -np.inf
        best = np.argsort(-score, axis=1, kind="stable")[:, :k]
        for row, line, own in zip(rows, best, score, strict=True):
            some = [number for number in line.tolist() if np.isfinite(own[number])]
            names, values = [made.history.names[number] for number in some], [round(float(own[n]), 4) for n in some]
            found.append({"id": str(data.ids[row]), "items": names, "scores": values})
    return found


def measured(model: Model, data: Dataset, seed: int = 0) -> list[dict[str, Any]]:
    """How well the last item of each row is found; as `measure`, `seed` draws the items."""
    made = recommender(model)
    among: dict[tuple[str, str], list[np.ndarray]] = {}
    common = made.history.counts.astype(np.float64)
    for _, packed in _batches(made, data):
        long = [row for row in packed if len(row) > 1]
        if not long:
            continue
        score, wanted = made.scores([row[:-1] for row in long]), np.array([row[-1] - SPECIAL for row in long]).clip(-1)
        barred = _seen([row[:-1] for row in long], score.shape[1])
        sets = {"all items": barred}
        if len(common) - barred.sum(1).max() > DRAWN:
            sets[f"{DRAWN} drawn items"] = drawn(barred, wanted, seed)
        for name, out in sets.items():
            for which, by in (("run", score), ("popularity", np.broadcast_to(common, score.shape))):
                among.setdefault((name, which), []).append(places(by, wanted, out))
    if not among:
        raise UserError(f"{data.name}: no row has two items; expected histories whose last item can be left out.")
    numbers = {key: hits_and_gains(np.concatenate(parts)) for key, parts in among.items()}
    rows = sum(map(len, among["all items", "run"]))
    return [
        {"name": name, "among": which, "run": value, "popularity": numbers[which, "popularity"][name], "rows": rows}
        for (which, by), found in numbers.items()
        if by == "run"
        for name, value in found.items()
    ]


def words(table: list[dict[str, Any]]) -> str:
    """The numbers of `measured` as lines of the terminal."""
    lines = [
        f"{one['name']:8} {one['run']:.3f}  popularity {one['popularity']:.3f}  among {one['among']}" for one in table
    ]
    return "\n".join([f"the last item of {table[0]['rows']:,} rows", *lines])


@torch.no_grad()
def _features(model: Model, field: str, x: Tensor) -> Any:
    encoder = model.learner.encoders.encoder(field)
    encoder.gives_dense = True
    return encoder(x)


def _batches(made: Recommender, data: Dataset) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Rows with a history and what they hold, some at a time."""
    if made.field not in data.stores:
        raise UserError(f"{data.name} has no field '{made.field}'; found {', '.join(data.stores)}.")
    store = data.stores[made.field]
    there = np.flatnonzero(store.has)
    for start in range(0, len(there), CHUNK):
        rows = there[start : start + CHUNK]
        yield rows, [np.asarray(row) for row in store.rows(rows)]


def _seen(packed: list[np.ndarray], items: int) -> np.ndarray:
    """(N, V) bool: known items that a row holds."""
    found = np.zeros((len(packed), items), bool)
    for line, row in zip(found, packed, strict=True):
        line[row[row >= SPECIAL] - SPECIAL] = True
    return found
