"""AUC of positive against random pairs on held-out rows, before and after training."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from kontrast.core.embeddings import Embeddings
from kontrast.core.shared_work import SharedWork
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.drawing import Drawing
from kontrast.data.dataset.reader import Reader
from kontrast.data.view import ViewSpec
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.pair_auc import Pairs, pair_auc
from kontrast.runs.folder.folder import Folder, load_tensors
from kontrast.runs.model import CHUNK, Model
from kontrast.training.learner import Learner
from kontrast.training.step import rows_of, task_rows

MOST = 1000  # rows: an interval of .01, and a matrix of a million cosines
BEFORE = "untrained-pairs.safetensors"
AFTER = "trained-pairs.safetensors"
_SEED = 0x5EE4  # keeps the views drawn here apart from those of training


def measured(
    model: Model, data: Dataset, rows: np.ndarray, most: int = MOST, work: SharedWork | None = None
) -> MetricResult | None:
    """AUC of the served task's positive pairs against random pairs on given rows.

    Views depend on the seed and the rows' ids alone, so that all weights are compared on the same views.

    Args:
        model: The model; its tasks define the views and the positive pairs.
        data: The dataset that holds the rows.
        rows: Indices of the rows in the dataset.
        most: Largest number of rows used, the first ones with enough fields; at most `MOST`.
        work: Shares the embedding over processes, all of which call this. Default: one process.

    Returns:
        The AUC with one entry per row, or None if fewer than two rows have a pair; None in all processes but the first.
    """
    work, rows = work or SharedWork(), _paired(model, data, rows, most)
    pairs = positive_pairs(model, data, rows, work=work) if len(rows) > 1 else []
    # None if positives follow from labels, which are not used here.
    return pair_auc(pairs) if pairs and work.first else None


def of_each_task(
    model: Model, data: Dataset, rows: np.ndarray, most: int = MOST, work: SharedWork | None = None
) -> dict[str, MetricResult]:
    """AUC of each task's own positive pairs, on the views that it would see as the only task of a run.

    Arguments as for `measured`. So a task's pairs in a run of several tasks compare with those in a run of it alone.

    Returns:
        Task -> AUC with one entry per row; tasks without positive pairs are left out. Empty in all processes
        but the first.
    """
    work, rows = work or SharedWork(), _paired(model, data, rows, most)
    found = {}
    for task in model.learner.parts if len(rows) > 1 else ():
        pairs = positive_pairs(model, data, rows, task=task, work=work)
        auc = pair_auc(pairs) if pairs and work.first else None
        if auc is not None:
            found[task] = auc
    return found


def _paired(model: Model, data: Dataset, rows: np.ndarray, most: int) -> np.ndarray:
    """The first rows with enough fields for a pair, sorted."""
    has = np.stack([data.stores[name].has[rows] for name in model.fields])
    return np.sort(rows[has.sum(0) >= min(2, len(model.fields))][: min(most, MOST)])


def keep_after(folder: Folder, found: Mapping[str, MetricResult | None]) -> None:
    """Writes the AUC of each task's pairs by the trained weights to the run folder."""
    known = {task: one.entries for task, one in found.items() if one is not None and one.entries is not None}
    entries = {task: torch.from_numpy(some).double() for task, some in known.items()}
    if entries:
        folder.save_tensors(f"{folder.embeddings.name}/{AFTER}", entries)


def after(folder: Folder) -> dict[str, MetricResult]:
    """Reads what `keep_after` wrote; empty if nothing was measured, as in old runs."""
    if not (folder.embeddings / AFTER).is_file():
        return {}
    kept = {task: entries.numpy() for task, entries in load_tensors(folder.embeddings / AFTER).items()}
    return {
        task: MetricResult(float(entries.mean()), len(entries), entries, chance=0.5, bounds=(0, 1))
        for task, entries in kept.items()
    }


def keep_before(folder: Folder, found: MetricResult | None) -> None:
    """Writes the AUC of the untrained weights to the run folder."""
    value = torch.full((1,), torch.nan, dtype=torch.float64) if found is None else torch.tensor([found.value])
    entries = torch.zeros(0) if found is None else torch.from_numpy(found.entries)
    folder.save_tensors(f"{folder.embeddings.name}/{BEFORE}", {"value": value.double(), "entries": entries.double()})


def before(folder: Folder) -> MetricResult | None:
    """Reads what `keep_before` wrote; None if nothing was measured."""
    if not (folder.embeddings / BEFORE).is_file():
        return None
    kept = load_tensors(folder.embeddings / BEFORE)
    entries = kept["entries"].numpy()
    return (
        MetricResult(float(kept["value"]), len(entries), entries, chance=0.5, bounds=(0, 1)) if len(entries) else None
    )


@torch.no_grad()
def positive_pairs(
    model: Model,
    data: Dataset,
    rows: np.ndarray,
    draw: int = 0,
    task: str = "",
    work: SharedWork | None = None,
) -> list[Pairs]:
    """Positive pairs of rows, one entry per relation between views; those of a row with itself are left out.

    Args:
        model: The model; its tasks define the views and the positive pairs.
        data: The dataset that holds the rows.
        rows: Sorted indices of the rows.
        draw: Which draw of the views. Default 0.
        task: A task, whose views are drawn as if it were the only one. Default: the served one among all.
        work: Shares the embedding over processes, all of which call this. Default: one process.
    """
    learner, reader = model.learner.eval(), Reader(data, model.modalities, model.learner.needs)
    device = next(learner.parameters()).device
    seed = model.experiment.seed + _SEED
    drawings = learner.drawings(model.modalities, seed, mixed=False)
    alone = learner.parts.get(task)
    own = Drawing(_specs(learner, task), model.modalities, seed=seed, classes=learner.classes) if alone else None

    def paired(start: int) -> list[tuple[Embeddings, Embeddings]]:
        batch = reader.read(rows[start : start + CHUNK]).to(device)
        if alone and own:
            found = alone.positive_pairs(task_rows(learner.encoders, alone, own(batch, draw)))
        else:
            batches = {group: drawing(batch, draw) for group, drawing in drawings.items()}
            found = learner.positive_pairs(rows_of(learner, batches))
        return [(_here(one), _here(two)) for one, two in found]

    units = [partial(paired, start) for start in range(0, len(rows), CHUNK)]
    sides = list((work or SharedWork()).done(units))
    joined = [[chunk[k] for chunk in sides] for k in range(len(sides[0]))]
    classes = _classes(data, rows, alone.needs if alone else learner.needs)
    found = [_joined(parts, classes) for parts in joined if sum(len(one) for one, _ in parts) > 1]
    return [pairs for pairs in found if not np.array_equal(pairs.one, pairs.two)]  # pairs of a row with itself


def _specs(learner: Learner, task: str) -> dict[str, ViewSpec]:
    """The views of a task by its own names, not mixed."""
    drawn = learner.drawn[learner.groups[task]]
    return {local: replace(drawn[name], mixing=None) for local, name in learner.names[task].items()}


def _classes(data: Dataset, rows: np.ndarray, needs: frozenset[str]) -> dict[int, int] | None:
    """Class per row key if a task makes rows of one class positives, else None.

    A row of unknown class is a class of its own.
    """
    if data.labels is None or not any(name.split()[0] == "label" for name in needs):
        return None
    labels = data.labels[rows]
    code = np.where(labels == "", -1 - np.arange(len(rows)), np.unique(labels, return_inverse=True)[1])
    return dict(zip(data.keys[rows].tolist(), code.tolist(), strict=True))


def _here(rows: Embeddings) -> Embeddings:
    """Vectors in float32 on the CPU, with the keys that say which pairs are positive."""
    keys = {name: key.cpu() for name, key in rows.keys.items() if name == "id" or name.startswith("content ")}
    return Embeddings(rows.z.detach().float().cpu().flatten(1), keys)


def _joined(parts: list[tuple[Embeddings, Embeddings]], classes: dict[int, int] | None) -> Pairs:
    one, two = (np.concatenate([part[side].z.numpy() for part in parts]) for side in (0, 1))

    def key(name: str) -> np.ndarray:
        return np.concatenate([part[0].keys[name].numpy() for part in parts])

    contents = [key(name) for name in parts[0][0].keys if name.startswith("content ")]
    groups = [each for each in contents if _copies(each)]
    groups += [np.array([classes[row] for row in key("id").tolist()])] if classes else []
    return Pairs(one, two, key("id"), tuple(groups))


def _copies(content: np.ndarray) -> bool:
    """Whether equal content means duplicates: no content is shared by over a tenth of rows."""
    return bool(np.unique(content, return_counts=True)[1].max(initial=0) <= max(2, len(content) // 10))
