"""Reconstruction: a small copy of each row is predicted from an augmented view.

Take it for data without labels as a baseline without contrast, or beside one
(`--task simclr --task reconstruction`).

Parts: task `reconstruction`; squared error of 8 x 8 pixels or 32 means of a series, cross-entropy of a text's tokens.
Settings: `hidden` 256 in the decoder.
Reference: Hinton and Salakhutdinov 2006, Science 313.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task; views and encoders follow from the data."""
    return Experiment(tasks=one_task("reconstruction"))
