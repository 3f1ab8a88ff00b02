"""By how much the chosen field of held-out rows leads the rejected one, by the model and by length alone."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.shared_work import SharedWork
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.drawing import Drawing
from kontrast.data.dataset.reader import SAMPLE, Reader
from kontrast.data.view import Batch, ViewSpec
from kontrast.runs.model import CHUNK, Model
from kontrast.tasks.preference.preference_task import PreferenceTask, answer_lengths
from kontrast.training.step import task_rows

_NONE = torch.zeros(0, dtype=torch.float64)


def with_margins(
    model: Model, data: Dataset, table: EmbeddingTable, rows: np.ndarray, work: SharedWork | None = None
) -> EmbeddingTable:
    """The table with the margins of its rows by the first preference task; unchanged if there is none.

    Args:
        model: Its weights score the rows, which are not augmented.
        data: The dataset that holds the rows.
        table: Embeddings of the rows.
        rows: Indices of the rows in the dataset.
        work: Shares the scoring over processes, all of which call this. Default: one process.
    """
    task = _preference(model, data)
    if task is None:
        return table
    model.learner.eval()
    batch_of = _batches(model, task, data)
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    units = [partial(_margins, model, task, batch_of, chunk) for chunk in chunks]
    parts = (work or SharedWork()).done(units)
    return replace(table, margins=torch.cat([_NONE, *parts]).numpy())


def with_rule(model: Model, data: Dataset, table: EmbeddingTable, rows: np.ndarray) -> EmbeddingTable:
    """The table with the margins of the rule that the shorter text wins; unchanged for other tasks and fields."""
    task = _preference(model, data)
    if task is None:
        return table
    batch_of = _batches(model, task, data)
    parts = [_shorter(batch_of(rows[start : start + CHUNK])) for start in range(0, len(rows), CHUNK)]
    found = [part for part in parts if part is not None]
    return replace(table, margins=torch.cat(found).cpu().numpy()) if found else table


def _preference(model: Model, data: Dataset) -> PreferenceTask | None:
    """The first preference task; None too if the data lacks one of its fields or targets."""
    task = next((task for task in model.learner.parts.values() if isinstance(task, PreferenceTask)), None)
    if task is None or task.needs - {SAMPLE} - set(data.targets):
        return None
    fields = task.fields_of.values()
    return task if all(field in data.stores and data.stores[field].has.any() for field in fields) else None


def _batches(model: Model, task: PreferenceTask, data: Dataset) -> Callable[[np.ndarray], Batch]:
    """Gives the task's views of rows, without augmentation."""
    modalities = {field: model.modalities[field] for field in task.fields_of.values()}
    reader = Reader(data, modalities, task.needs)
    specs = {part: ViewSpec(field, "original") for part, field in task.fields_of.items()}
    drawing = Drawing(specs, modalities, seed=model.experiment.seed)
    device = next(model.learner.parameters()).device
    return lambda rows: drawing(reader.read(rows).to(device), 0)


@torch.no_grad()
def _margins(model: Model, task: PreferenceTask, batch_of: Callable[[np.ndarray], Batch], rows: np.ndarray) -> Tensor:
    return task.margins(task_rows(model.learner.encoders, task, batch_of(rows))).double().cpu()


def _shorter(batch: Batch) -> Tensor | None:
    """Tokens of the rejected text minus those of the chosen one, (B,); None for other data."""
    sides = chosen, rejected = batch.views["chosen"], batch.views["rejected"]
    if any(not isinstance(v.data, Tensor) or v.data.dtype != torch.int64 or v.data.ndim != 2 for v in sides):
        return None
    both = batch.keys[f"has {chosen.field}"] & batch.keys[f"has {rejected.field}"]
    lead = (answer_lengths(rejected.data) - answer_lengths(chosen.data)).double()
    return lead.masked_fill(~both, torch.nan)
