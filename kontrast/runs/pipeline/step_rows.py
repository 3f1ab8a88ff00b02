"""Rows of the steps of a run: samplers, and the views of the first step."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.core.experiment import Plan
from kontrast.core.ranks import Ranks
from kontrast.core.task_choice import TaskChoice
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.length_buckets import lengths_of
from kontrast.data.dataset.reader import Reader
from kontrast.data.samplers.sampler import Sampled, Sampler
from kontrast.runs.model import Model
from kontrast.training import pacing
from kontrast.training.learner import Batches
from kontrast.training.step_rows import rows_of_step

# Default length: minutes for small encoders on two cores, at most LOOKS epochs: a thousand on fifty series harmed.
STEPS, LOOKS = 1000, 200


def orders_of(model: Model, data: Dataset) -> dict[str, Sampler]:
    """The sampler of each group of rows; the group of the first task comes first and counts the epochs."""
    tasks = list(model.experiment.tasks.items())
    return {group: _order(model, data, [t for t in tasks if t[1].group == group]) for group in model.learner.drawn}


def _order(model: Model, data: Dataset, tasks: Sequence[tuple[str, TaskChoice]]) -> Sampler:
    """The sampler of tasks that share their rows."""
    experiment, (_, first) = model.experiment, tasks[0]
    rows, plan = training_rows(model, data, tasks), experiment.plan
    weights = None if data.weights is None else data.weights[rows]
    labels = data.targets["label"].keys(rows).numpy() if "label" in data.targets else None
    batch = min(first.rows_per_step or pacing.named(plan, len(rows)), len(rows))
    lengths = lengths_of({name: data.stores[name] for name in model.fields}, rows) if plan.buckets > 1 else None
    # Groups draw apart from one another; the plan's own as it always did.
    seed = experiment.seed + zlib.crc32(first.group.encode()) if first.group else experiment.seed
    sampled = Sampled(rows, batch, seed, weights, labels, lengths, plan.buckets)
    chosen = first.sampler or plan.sampler
    # Old runs name no sampler, and sampled by weight if the data has weights.
    name = "weighted" if chosen.name == "shuffled" and weights is not None else chosen.name
    return factory.build("samplers", name, chosen.settings, given={"sampled": sampled})


def training_rows(model: Model, data: Dataset, tasks: Sequence[tuple[str, TaskChoice]]) -> np.ndarray:
    """Indices of the training rows of tasks that share them.

    A row is of use if one of the tasks finds two of its fields in it, or its only one.

    Raises:
        UserError: There are fewer than two.
    """
    useful = np.zeros(len(data.ids), dtype=bool)
    for _, task in tasks:
        fields = list(task.fields or model.fields)
        useful |= np.stack([data.stores[name].has for name in fields]).sum(0) >= min(2, len(fields))
    known = useful & data.training
    if tasks[0][1].rows == "labelled":
        known &= _labelled(model, data, [name for name, _ in tasks])
    rows = np.flatnonzero(known)
    if len(rows) < 2:
        which = " labelled" if tasks[0][1].rows == "labelled" else ""
        raise UserError(
            f"{data.name}: {len(rows)}{which} row{'' if len(rows) == 1 else 's'} to train on; expected at least 2, "
            "better hundreds. A contrast needs others to compare with."
        )
    return rows


def _labelled(model: Model, data: Dataset, names: Sequence[str]) -> np.ndarray:
    """Which rows have all targets that the tasks need; the label, if they need none."""
    needs = frozenset[str]().union(*(model.learner.parts[name].needs for name in names))
    known = np.ones(len(data.ids), dtype=bool)
    for name in needs & set(data.targets) or {"label"} & set(data.targets):
        key = data.targets[name].keys(np.arange(len(data.ids)))
        there = ~key.isnan() if key.is_floating_point() else key >= 0
        known &= (there if there.ndim == 1 else (key != 0).any(1) & there.all(1)).numpy()
    return known


def first_views(
    model: Model,
    reader: Reader,
    orders: Mapping[str, Sampler],
    device: torch.device,
    ranks: Ranks,
    most: int | None = None,
) -> Batches:
    """Views of this rank's rows of the first step, or of some of them."""
    found, learner = {}, model.learner
    drawings = learner.drawings(model.modalities, model.experiment.seed)
    for group, specs in learner.drawn.items():
        batch = rows_of_step(reader, orders[group], specs, 0, ranks.rank, ranks.world, most).to(device)
        found[group] = drawings[group](batch, 0)
    return found


def steps_named(plan: Plan, order: Sampler) -> int | None:
    """Number of steps of the run; None if its minutes decide."""
    if plan.epochs is not None:
        return max(1, round(plan.epochs * order.per_epoch))
    if plan.steps is None and plan.minutes is None:
        return min(STEPS, LOOKS * order.per_epoch)
    return plan.steps
