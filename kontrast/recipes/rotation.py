"""Rotation: by which quarter turn an image was rotated is predicted.

Take it for images with an upright side, as a baseline without contrast; it is stronger beside one
(`--task simclr --task rotation`).

Parts: task `rotation`, softmax over four turns.
Settings: one turn per image and step; the paper shows all four at once.
Reference: Gidaris et al. 2018, arXiv:1803.07728.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task; views and encoders follow from the data."""
    return Experiment(tasks=one_task("rotation"))
