"""BYOL: from one view, predicts what momentum copies make of the other; needs no negatives.

Take it for data without labels if negatives are unwanted. For example `kontrast train photos/ --recipe byol`.

Parts: task `byol`, squared distance on the sphere, momentum copies of encoder and head, a predictor.
Settings: momentum from 0.99 to 1 for runs of some hundred steps, from 0.996 in the paper; head and predictor of width
512 to 128, 4,096 to 256 in the paper.
Reference: Grill et al. 2020, arXiv:2006.07733.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("byol"))
