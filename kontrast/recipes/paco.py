"""PaCo: learned class centres join the samples, weighted by class frequency.

Take it for classes of very different size. Needs labels.

Parts: task `paco`.
Settings: `alpha` 0.05 and `temperature` 0.2 as in the paper.
Reference: Cui et al. 2021, arXiv:2107.12028.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("paco"))
