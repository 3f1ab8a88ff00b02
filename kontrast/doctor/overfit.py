"""Single-batch overfitting test: whether the chosen method can memorise a few rows."""

import copy
import math
import time

import torch

from kontrast.core.clock import Clock
from kontrast.core.ranks import Ranks
from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding
from kontrast.doctor.steps import first_batch
from kontrast.runs.pipeline.train import optimiser_of
from kontrast.training.launcher import usual_device
from kontrast.training.optimiser import groups_of
from kontrast.training.step import step

_ROWS, _STEPS, _SECONDS = 64, 60, 20.0
_FALLEN = 0.7  # share of the first loss: memorising ends far below it, no progress stays well above
_NOTHING = 1e-3
_ENOUGH = 0.3  # share of the first loss; three consecutive steps at most this high end the test early


class Overfit(Examination):
    """Trains a copy of the model on a few rows with fixed views.

    It takes up to 64 rows, 60 steps and 20 seconds. If the loss does not fall there, a long run will not learn either.
    """

    place = 81

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a fact if the loss falls, otherwise a finding with the usual causes."""
        batches, _ = first_batch(case, _ROWS)
        rows = max(map(len, batches.values()))
        plan = case.experiment.plan
        learner = copy.deepcopy(case.model.learner).to(usual_device()).train()
        made, rate, _ = optimiser_of(plan)
        optimiser = made.build(groups_of(learner, rate, 0.0), rate)
        losses, began = [], time.perf_counter()
        while len(losses) < _STEPS and time.perf_counter() - began < _SECONDS:
            optimiser.zero_grad(set_to_none=True)
            learner.begin(Clock(len(losses), len(losses) / _STEPS))
            outcome = step(learner, learner, batches, Ranks(alone=True), seed=case.experiment.seed)
            losses.append(outcome.loss)
            learned = max(losses[-3:]) <= _ENOUGH * losses[0]
            if not math.isfinite(outcome.loss) or (learned and len(losses) >= 3):
                break
            torch.nn.utils.clip_grad_norm_(learner.parameters(), plan.clip or math.inf)
            optimiser.step()
            learner.after_update(outcome.rows, Ranks(alone=True))
        return [_finding(losses, rows, rate)]


def _finding(losses: list[float], rows: int, rate: float) -> Finding:
    first, last = losses[0], min(losses[-5:])
    done = f"{rows} rows with fixed views, {len(losses)} steps: loss {first:.2f} -> {last:.2f}"
    numbers = {"first": first, "last": last, "steps": len(losses), "rows": rows}
    if not all(map(math.isfinite, losses)):
        words = f"{done}: the loss is no number. The learning rate ({rate:g}) is too high or a field holds wild values."
        return Finding("overfit", "error", words, {"steps": len(losses), "rows": rows})
    if first < _NOTHING:
        words = (
            f"{rows} rows: the loss is {first:.2f} before the first step, so nothing is contrasted: all rows count as "
            "copies of one another. See the findings on constant fields and duplicates."
        )
        return Finding("overfit", "warning", words, numbers)
    if last <= _FALLEN * first:
        return Finding("overfit", "fact", f"{done}; it can memorise these, so data and method fit together", numbers)
    if len(losses) < _STEPS:
        words = f"{done}, not yet down to {_FALLEN:.0%}: {_SECONDS:.0f} s were too short on this machine to tell."
        return Finding("overfit", "note", words, numbers)
    words = (
        f"{done}: it cannot even memorise these. Usual causes: rows that are all alike, copies among them, "
        f"augmentations that erase everything (look at the views), or a learning rate far off ({rate:g})."
    )
    return Finding("overfit", "warning", words, numbers)
