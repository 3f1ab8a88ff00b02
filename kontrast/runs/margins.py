"""By how much the chosen field of held-out rows leads the rejected one, by the model and by length alone."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.drawing import Drawing
from kontrast.data.dataset.reader import Reader
from kontrast.data.view import Batch
from kontrast.runs.model import CHUNK, Model
from kontrast.tasks.preference.preference_task import PreferenceTask, answer_lengths
from kontrast.training.step import rows_of


def with_margins(model: Model, data: Dataset, table: EmbeddingTable, rows: np.ndarray) -> EmbeddingTable:
    """The table with the margins of its rows by the first preference task; unchanged if there is none.

    Args:
        model: Its weights score the rows, which are not augmented.
        data: The dataset that holds the rows.
        table: Embeddings of the rows.
        rows: Indices of the rows in the dataset.
    """
    name = _preference(model)
    return table if name is None else replace(table, margins=_scored(model, name, data, rows))


def with_rule(model: Model, data: Dataset, table: EmbeddingTable, rows: np.ndarray) -> EmbeddingTable:
    """The table with the margins of the rule that the shorter text wins; unchanged for other tasks and fields."""
    name = _preference(model)
    if name is None:
        return table
    parts = [_shorter(model, name, batch) for batch in _batches(model, name, data, rows)]
    found = [part for part in parts if part is not None]
    return replace(table, margins=torch.cat(found).cpu().numpy()) if found else table


def _preference(model: Model) -> str | None:
    """Name of the first preference task."""
    return next((name for name, task in model.learner.parts.items() if isinstance(task, PreferenceTask)), None)


@torch.no_grad()
def _scored(model: Model, name: str, data: Dataset, rows: np.ndarray) -> np.ndarray:
    learner, found = model.learner.eval(), []
    task = learner.parts[name]
    assert isinstance(task, PreferenceTask)
    for start in range(0, len(rows), CHUNK):
        batches = {group: _drawn(model, group, data, rows[start : start + CHUNK]) for group in learner.drawn}
        found.append(task.margins(rows_of(learner, batches)[name]).double().cpu())
    return torch.cat([torch.zeros(0, dtype=torch.float64), *found]).numpy()


def _batches(model: Model, name: str, data: Dataset, rows: np.ndarray) -> list[Batch]:
    group = model.learner.groups[name]
    return [_drawn(model, group, data, rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)]


def _drawn(model: Model, group: str, data: Dataset, rows: np.ndarray) -> Batch:
    """Views of rows without augmentation."""
    learner = model.learner
    specs = {view: replace(spec, role="original", augmentation=None) for view, spec in learner.drawn[group].items()}
    batch = Reader(data, model.modalities, learner.needs).read(rows).to(next(learner.parameters()).device)
    return Drawing(specs, model.modalities, seed=model.experiment.seed)(batch, 0)


def _shorter(model: Model, name: str, batch: Batch) -> Tensor | None:
    """Tokens of the rejected text minus those of the chosen one, (B,); None for other data."""
    views = {part: batch.views[drawn] for part, drawn in model.learner.names[name].items()}
    chosen, rejected = (views[side] for side in ("chosen", "rejected"))
    if any(
        not isinstance(v.data, Tensor) or v.data.dtype != torch.int64 or v.data.ndim != 2 for v in (chosen, rejected)
    ):
        return None
    both = batch.keys[f"has {chosen.field}"] & batch.keys[f"has {rejected.field}"]
    lead = (answer_lengths(rejected.data) - answer_lengths(chosen.data)).double()
    return lead.masked_fill(~both, torch.nan)
