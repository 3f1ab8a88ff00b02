"""Instance discrimination: each row is a class of its own, represented by a slot of a memory.

Take it for data without labels if a step can afford only one view per row.

Parts: task `instance_discrimination`, loss `infonce` over a memory of all training rows.
Settings: temperature 0.07, memory momentum 0.5 and a linear head of width 128, as in the paper, which estimates the
loss from 4,096 rows (`--set tasks.contrast.noise=4096`).
Reference: Wu et al. 2018, arXiv:1805.01978.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("instance_discrimination"))
