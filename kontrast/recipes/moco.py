"""MoCo: a query finds its key among those of earlier batches (version 2).

Take it for data without labels if batches are small. For example `kontrast train photos/ --recipe moco`.

Parts: task `moco`, loss `infonce`, momentum copies of encoder and head, a queue.
Settings: temperature 0.2 and a head of two layers, as in the paper; momentum 0.99 for runs of some hundred steps, 0.999
in the paper; a queue of at most 4,096 keys and half of the training rows, 65,536 in the paper.
Reference: Chen et al. 2020, arXiv:2003.04297.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("moco"))
