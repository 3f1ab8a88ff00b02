"""BCL: supervised contrast in which each class weighs the same and none is absent.

Take it for classes of very different size. Needs labels.

Parts: task `bcl`, with a learned centre per class.
Settings: `temperature` 0.1.
Reference: Zhu et al. 2022, arXiv:2207.09052.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("bcl"))
