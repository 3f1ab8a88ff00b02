"""By how much the chosen field of held-out rows leads the rejected one, by the model and by length alone."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.embeddings import Embeddings
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.drawing import Drawing
from kontrast.data.dataset.reader import SAMPLE, Reader
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoders import EncodedViews
from kontrast.runs.model import CHUNK, Model
from kontrast.tasks.preference.preference_task import PreferenceTask, answer_lengths

_NONE = torch.zeros(0, dtype=torch.float64)


def with_margins(model: Model, data: Dataset, table: EmbeddingTable, rows: np.ndarray) -> EmbeddingTable:
    """The table with the margins of its rows by the first preference task; unchanged if there is none.

    Args:
        model: Its weights score the rows, which are not augmented.
        data: The dataset that holds the rows.
        table: Embeddings of the rows.
        rows: Indices of the rows in the dataset.
    """
    task = _preference(model, data)
    if task is None:
        return table
    model.learner.eval()
    parts = [_margins(model, task, batch) for batch in _batches(model, task, data, rows)]
    return replace(table, margins=torch.cat([_NONE, *parts]).numpy())


def with_rule(model: Model, data: Dataset, table: EmbeddingTable, rows: np.ndarray) -> EmbeddingTable:
    """The table with the margins of the rule that the shorter text wins; unchanged for other tasks and fields."""
    task = _preference(model, data)
    if task is None:
        return table
    parts = [_shorter(batch) for batch in _batches(model, task, data, rows)]
    found = [part for part in parts if part is not None]
    return replace(table, margins=torch.cat(found).cpu().numpy()) if found else table


def _preference(model: Model, data: Dataset) -> PreferenceTask | None:
    """The first preference task; None too if the data lacks one of its fields or targets."""
    task = next((task for task in model.learner.parts.values() if isinstance(task, PreferenceTask)), None)
    if task is None or task.needs - {SAMPLE} - set(data.targets):
        return None
    fields = task.fields_of.values()
    return task if all(field in data.stores and data.stores[field].has.any() for field in fields) else None


def _batches(model: Model, task: PreferenceTask, data: Dataset, rows: np.ndarray) -> Iterator[Batch]:
    """The task's views of rows, without augmentation."""
    modalities = {field: model.modalities[field] for field in task.fields_of.values()}
    reader = Reader(data, modalities, task.needs)
    specs = {part: ViewSpec(field, "original") for part, field in task.fields_of.items()}
    drawing = Drawing(specs, modalities, seed=model.experiment.seed)
    device = next(model.learner.parameters()).device
    for start in range(0, len(rows), CHUNK):
        yield drawing(reader.read(rows[start : start + CHUNK]).to(device), 0)


@torch.no_grad()
def _margins(model: Model, task: PreferenceTask, batch: Batch) -> Tensor:
    encoders = model.learner.encoders
    with encoders.plain():
        out = {**task(EncodedViews(encoders), batch), **task.targets(EncodedViews(encoders, targets=True), batch)}
    rows = {name: Embeddings(o.z.float(), {**batch.keys, **o.keys}) for name, o in out.items()}
    return task.margins(rows).double().cpu()


def _shorter(batch: Batch) -> Tensor | None:
    """Tokens of the rejected text minus those of the chosen one, (B,); None for other data."""
    sides = chosen, rejected = batch.views["chosen"], batch.views["rejected"]
    if any(not isinstance(v.data, Tensor) or v.data.dtype != torch.int64 or v.data.ndim != 2 for v in sides):
        return None
    both = batch.keys[f"has {chosen.field}"] & batch.keys[f"has {rejected.field}"]
    lead = (answer_lengths(rejected.data) - answer_lengths(chosen.data)).double()
    return lead.masked_fill(~both, torch.nan)
