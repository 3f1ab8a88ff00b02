"""First batch, as training would see it, for examinations that train a few steps."""

from dataclasses import replace

from kontrast.core.experiment import Experiment
from kontrast.data.dataset.reader import Batch, Reader
from kontrast.data.samplers.sampler import Sampler
from kontrast.doctor.case import Case
from kontrast.runs.train import first_views, order_of
from kontrast.training.launcher import usual_device


def first_batch(case: Case, most: int | None = None) -> tuple[Batch, Sampler]:
    """Builds the first batch of the run.

    Args:
        case: The data and the experiment.
        most: Largest number of rows; None: the whole batch.

    Returns:
        Views of the batch, and the sampler with the run's order of rows.
    """
    order = order_of(case.model, case.data)
    index = order.at(0)[:most]
    return first_views(
        case.model, Reader(case.data, case.model.modalities, case.model.method.needs), index, usual_device()
    ), order


def without_compiling(experiment: Experiment) -> Experiment:
    """Turns automatic compilation off, which would take longer than all examinations together."""
    plan = experiment.plan
    return replace(experiment, plan=replace(plan, compile="off" if plan.compile == "auto" else plan.compile))
