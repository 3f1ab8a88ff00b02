"""STRL: BYOL on point clouds, each view cropped, turned about the axis that points up, stretched and jittered.

Take it for clouds without labels if negatives are unwanted. For example `kontrast train shapes/ --recipe strl`.

Parts: task `byol`, augmentations of `points`.
Settings: crops of 50 % or more, stretches of up to a quarter and jitter of 0.01 as in the paper; of its frames of a
video the spatial changes alone, which the paper takes for single shapes.
Reference: Huang et al. 2021, arXiv:2109.00179.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and the changes of its views; the encoder follows from the data."""
    changes = {"crop": 0.5, "scale": 0.25, "jitter": 0.01, "drop": 0.2, "rotate": "up"}
    return Experiment(tasks=one_task("byol"), views={"points": Choice("points", changes)})
