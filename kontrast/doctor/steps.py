"""A first batch, as training would see it, for the examinations that train a little."""

from dataclasses import replace

from kontrast.core.experiment import Experiment
from kontrast.data.dataset.reader import Batch, Reader
from kontrast.data.samplers.sampler import Sampler
from kontrast.doctor.case import Case
from kontrast.runs.train import first_views, order_of
from kontrast.training.launcher import usual_device


def first_batch(case: Case, most: int | None = None) -> tuple[Batch, Sampler]:
    """(the views of the run's first batch, or of `most` rows of it; the order in which the run would see rows)."""
    order = order_of(case.model, case.data)
    index = order.at(0)[:most]
    return first_views(
        case.model, Reader(case.data, case.model.modalities, case.model.method.needs), index, usual_device()
    ), order


def without_compiling(experiment: Experiment) -> Experiment:
    """The same, but a compiler is not tried: that takes longer than all examinations together."""
    plan = experiment.plan
    return replace(experiment, plan=replace(plan, compile="off" if plan.compile == "auto" else plan.compile))
