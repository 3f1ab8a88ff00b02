"""Forecast of training time and memory, measured with a few real steps on this machine."""

import copy
import os
import time

import torch

from kontrast.core.experiment import Plan
from kontrast.core.number_format import clock
from kontrast.core.ranks import Ranks
from kontrast.data.dataset.reader import Batch
from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding
from kontrast.doctor.steps import first_batch, without_compiling
from kontrast.losses.memory_forecast import forecast as loss_plan
from kontrast.runs.train import steps_named
from kontrast.tasks.task import Task
from kontrast.training import memory, pacing
from kontrast.training.budget import Budget
from kontrast.training.precision import PrecisionMode, choose, pinned
from kontrast.training.step import step

_TIGHT = 0.8
_SOME, _SLOW = 32, 3.0  # rows of the first timing, and seconds per step beyond which no larger one follows


class Forecast(Examination):
    """Measures time and memory of the experiment's first batch.

    The number format is the one that training would choose. Compilation is left out, so a long run may be faster.
    """

    place = 80

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a fact, or a warning if memory is tight."""
        experiment = without_compiling(case.experiment)
        batch, order = first_batch(case)
        where = batch.keys["id"].device
        method = copy.deepcopy(case.model.method).to(where)
        mode, seconds, how = _timed(method, batch, experiment.plan)
        training = Budget(experiment.plan.minutes).foreseen()
        rows, seconds = pacing.paced(experiment.plan, len(batch), len(order.sampled.rows), seconds, training)
        batch = batch[slice(0, rows)]
        steps = steps_named(experiment.plan, order) or max(1, int(training / max(seconds, 1e-6)))
        needed = memory.forecast(method, batch, experiment.plan.passes)
        loss, how_loss = (needed.loss, "") if needed.tiles else _small_loss(method, batch)
        place = f"{torch.get_num_threads()} of {os.cpu_count()} cores" if where.type == "cpu" else str(where)
        words = (
            f"{seconds:.3g} s a step of {len(batch):,} rows on {place} ({mode.words}{how}); {steps:,} steps, about "
            f"{clock(steps * seconds)} of training · memory {needed.words.removeprefix('forecast ')}{how_loss}"
        )
        numbers = {
            "seconds a step": seconds,
            "steps": steps,
            "seconds": steps * seconds,
            "bytes": needed.needed,
            "device bytes": needed.device,
            "loss bytes": loss,
            "batch": len(batch),
            "device": place,
        }
        if needed.needed <= _TIGHT * needed.device:
            return [Finding("forecast", "fact", words, numbers)]
        half = max(1, len(batch) // 8)
        words = (
            f"{words}. That hardly fits: run the encoder in passes (--set plan.passes={half}), the loss stays the same."
        )
        return [Finding("forecast", "warning", words, numbers)]


def _small_loss(method: Task, batch: Batch) -> tuple[int, str]:
    """Memory in bytes, and its description, of a loss too small for training's own forecast."""
    few = batch[slice(0, 2)]
    with torch.no_grad():
        width = next(iter(method.eval()(few.views, few.keys).values())).shape[-1]
    rows = len(batch) * len(batch.views)
    plan = loss_plan(rows, rows, width)
    return plan.tiled, f" · {plan.words}"


def _timed(method: Task, batch: Batch, plan: Plan) -> tuple[PrecisionMode, float, str]:
    """Number format, seconds per step, and a remark if it was not measured as training does."""
    few = batch[slice(0, _SOME)]
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        step(method, method, few, Ranks(alone=True), seed=0, passes=plan.passes)
        taken.append(time.perf_counter() - began)
    whole = min(taken) * len(batch) / len(few)
    if whole > _SLOW:
        return pinned(plan), whole, f", from {len(few)} rows; training tries faster number formats"
    return *choose(method, batch, plan, None), ""
