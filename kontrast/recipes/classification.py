"""Classification: the class of each row is predicted by a linear layer on the encoder.

Take it as the supervised baseline of a contrast, or if all rows have a class and only these classes matter.

Parts: task `classification`, softmax cross-entropy.
Settings: `target: labels` for several labels per row; `smoothing` 0.
Reference: the cross-entropy baseline of Khosla et al. 2020, arXiv:2004.11362.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task; views and encoders follow from the data."""
    return Experiment(tasks=one_task("classification"))
