"""Forecast of training time and memory, measured with a few real steps on this machine."""

import copy
import os
import time

import torch

from kontrast.core.experiment import Plan
from kontrast.core.number_format import clock
from kontrast.core.ranks import Ranks
from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding
from kontrast.doctor.steps import first_batch, without_compiling
from kontrast.encoders.precision_mode import PrecisionMode
from kontrast.losses.memory_forecast import forecast as loss_plan
from kontrast.runs.pipeline.step_rows import steps_named
from kontrast.training import memory, pacing
from kontrast.training.budget import Budget
from kontrast.training.launcher import usual_device
from kontrast.training.learner import Batches, Learner
from kontrast.training.precision import choose, pinned
from kontrast.training.step import rows_of, step

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
        batches, order = first_batch(case)
        where, most = usual_device(), max(map(len, batches.values()))
        learner = copy.deepcopy(case.model.learner).to(where)
        mode, seconds, how = _timed(learner, batches, experiment.plan)
        training = Budget(experiment.plan.minutes).foreseen()
        rows, seconds = pacing.paced(experiment.plan, most, len(order.sampled.rows), seconds, training)
        batches = _first(batches, rows)
        most = min(most, rows)
        steps = steps_named(experiment.plan, order) or max(1, int(training / max(seconds, 1e-6)))
        needed = memory.forecast(learner, batches, experiment.plan.passes)
        loss, how_loss = (needed.loss, "") if needed.tiles else _small_loss(learner, batches)
        place = f"{torch.get_num_threads()} of {os.cpu_count()} cores" if where.type == "cpu" else str(where)
        words = (
            f"{seconds:.3g} s a step of {most:,} rows on {place} ({mode.words}{how}); {steps:,} steps, about "
            f"{clock(steps * seconds)} of training · memory {needed.words.removeprefix('forecast ')}{how_loss}"
        )
        numbers = {
            "seconds a step": seconds,
            "steps": steps,
            "seconds": steps * seconds,
            "bytes": needed.needed,
            "device bytes": needed.device,
            "loss bytes": loss,
            "batch": most,
            "device": place,
        }
        if needed.needed <= _TIGHT * needed.device:
            return [Finding("forecast", "fact", words, numbers)]
        half = max(1, most // 8)
        words = (
            f"{words}. That hardly fits: run the encoder in passes (--set plan.passes={half}), the loss stays the same."
        )
        return [Finding("forecast", "warning", words, numbers)]


def _first(batches: Batches, rows: int) -> Batches:
    return {group: batch[slice(0, rows)] for group, batch in batches.items()}


def _small_loss(learner: Learner, batches: Batches) -> tuple[int, str]:
    """Memory in bytes, and its description, of a loss too small for training's own forecast."""
    found = rows_of(learner.eval(), _first(batches, 2))
    width = max(r.z.shape[-1] for outs in found.values() for r in outs.values())
    rows = sum(len(batch) * len(batch.views) for batch in batches.values())
    plan = loss_plan(rows, rows, width)
    return plan.tiled, f" · {plan.words}"


def _timed(learner: Learner, batches: Batches, plan: Plan) -> tuple[PrecisionMode, float, str]:
    """Number format, seconds per step, and a remark if it was not measured as training does."""
    few, most = _first(batches, _SOME), max(map(len, batches.values()))
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        step(learner, learner, few, Ranks(alone=True), seed=0, passes=plan.passes)
        taken.append(time.perf_counter() - began)
    whole = min(taken) * most / min(_SOME, most)
    if whole > _SLOW:
        return pinned(plan), whole, f", from {min(_SOME, most)} rows; training tries faster number formats"
    return *choose(learner, batches, plan, None), ""
