"""A first batch and what a few steps on it cost, for the examinations that train a little."""

from dataclasses import replace

import torch

from kontrast.core.experiment import Experiment
from kontrast.data.batches import Batch, Order, Reader, draw
from kontrast.doctor.case import Case
from kontrast.runs.train import LOOKS, STEPS, training_rows


def first_batch(case: Case, most: int | None = None) -> tuple[Batch, Order]:
    """(the views of the run's first batch, or of `most` rows of it; the order in which the run would see rows)."""
    model = case.model
    rows = training_rows(model, case.data)
    order = Order(rows, min(model.experiment.plan.batch, len(rows)), model.experiment.seed)
    index = order.at(0)[:most]
    batch = Reader(case.data, {name: model.modalities[name] for name in model.fields}).read(index)
    return draw(batch, model.method.draws(), model.modalities, seed=model.experiment.seed, epoch=0), order


def device() -> torch.device:
    """Where training would run if nothing were said."""
    name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return torch.device(name)


def steps_of(experiment: Experiment, order: Order, seconds: float) -> int:
    """How many steps the run would take."""
    plan = experiment.plan
    if plan.minutes is not None:
        return max(1, int(plan.minutes * 60 / max(seconds, 1e-6)))
    if plan.epochs is not None:
        return max(1, round(plan.epochs * order.per_epoch))
    return plan.steps or min(STEPS, LOOKS * order.per_epoch)


def without_compiling(experiment: Experiment) -> Experiment:
    """The same, but a compiler is not tried: that takes longer than all examinations together."""
    plan = experiment.plan
    return replace(experiment, plan=replace(plan, compile="off" if plan.compile == "auto" else plan.compile))
