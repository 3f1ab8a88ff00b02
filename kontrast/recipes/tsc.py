"""TSC: KCL plus a fixed point per class, spread evenly over the sphere.

Take it for classes of very different size. Needs labels.

Parts: task `kcl` with targets.
Settings: `strength` 1, the weight of the attraction to the class's point; `k` 6 as in the paper.
Reference: Li et al. 2022, arXiv:2111.13998.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("kcl", {"strength": 1.0}))
