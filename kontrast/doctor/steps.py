"""First batch, as training would see it, for examinations that train a few steps."""

from dataclasses import replace

from kontrast.core.experiment import Experiment
from kontrast.core.ranks import Ranks
from kontrast.data.dataset.reader import Reader
from kontrast.data.samplers.sampler import Sampler
from kontrast.doctor.case import Case
from kontrast.runs.pipeline.step_rows import first_views, orders_of
from kontrast.training.launcher import usual_device
from kontrast.training.learner import Batches


def first_batch(case: Case, most: int | None = None) -> tuple[Batches, Sampler]:
    """Builds the first batches of the run.

    Args:
        case: The data and the experiment.
        most: Largest number of rows; None: the whole batch.

    Returns:
        Views of the batches by group, and the sampler with the run's order of rows.
    """
    orders = orders_of(case.model, case.data)
    reader = Reader(case.data, case.model.modalities, case.model.learner.needs)
    found = first_views(case.model, reader, orders, usual_device(), Ranks(alone=True), most)
    return found, next(iter(orders.values()))


def without_compiling(experiment: Experiment) -> Experiment:
    """Turns automatic compilation off, which would take longer than all examinations together."""
    plan = experiment.plan
    return replace(experiment, plan=replace(plan, compile="off" if plan.compile == "auto" else plan.compile))
