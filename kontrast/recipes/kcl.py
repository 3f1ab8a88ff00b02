"""KCL: supervised contrast with k positives from the class, however large it is.

Take it for classes of very different size. Needs labels.

Parts: task `kcl`.
Settings: `k` 6 as in the paper; `temperature` 0.1.
Reference: Kang et al. 2021, "Exploring balanced feature spaces for representation learning", ICLR.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("kcl"))
