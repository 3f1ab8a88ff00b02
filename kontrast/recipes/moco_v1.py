"""MoCo, version 1: a linear head, and a sharper temperature.

Take it to repeat the first paper; otherwise `moco` learns more.

Parts: task `moco`, loss `infonce`, momentum copies of encoder and head, a queue.
Settings: temperature 0.07 and a linear head, as in the paper; momentum and queue as in the recipe `moco`.
Reference: He et al. 2020, arXiv:1911.05722.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("moco", {"hidden": 0, "temperature": 0.07}))
