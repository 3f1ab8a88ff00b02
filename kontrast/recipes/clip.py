"""CLIP: fields of a row (picture and caption, two pictures, ...) attract, other rows repel.

Take it for rows of two or more fields that belong together. Rows may lack fields. For example `kontrast train
pairs.csv --recipe clip`.

Parts: task `clip`, loss `infonce` in both directions, cosine with a learned temperature.
Settings: `temperature` 0.07 at the start, as in the paper; `around`, a field that all others are compared with.
Reference: Radford et al. 2021, arXiv:2103.00020.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("clip"))
