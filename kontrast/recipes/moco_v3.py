"""MoCo, version 3: no queue; both views ask among the keys of the batch, through a predictor.

Take it for data without labels and batches of a few hundred rows.

Parts: task `moco`, loss `infonce` in both directions, momentum copies of encoder and head, a predictor.
Settings: momentum from 0.99 to 1 as in the paper; temperature 0.2, which the paper takes for transformers (1 for
ResNet-50); head and predictor of width 512, 4,096 in the paper.
Reference: Chen et al. 2021, arXiv:2104.02057.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("moco", {"queue": 0, "predictor": 512, "final_momentum": 1.0}))
