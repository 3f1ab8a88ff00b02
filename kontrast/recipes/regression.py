"""Regression: the number of each row is predicted by a linear layer on the encoder.

Take it as the supervised baseline of `rnc`, for rows with a number (`--field COLUMN=number`).

Parts: task `regression`, squared error of the standardised number.
Settings: `loss: huber` for numbers with outliers.
Reference: the L2 baseline of Zha et al. 2023, arXiv:2210.01189.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task; views and encoders follow from the data."""
    return Experiment(tasks=one_task("regression"))
