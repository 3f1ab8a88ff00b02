"""VIME: which columns of a row come from other rows, and what stood there, is predicted.

Take it for tables without labels, as the pretext task that needs neither pairs nor negatives.

Parts: task `vime`; the corruption is that of the table.
Settings: `corrupt` 0.3 and `alpha` 2 as in the paper.
Reference: Yoon et al. 2020, NeurIPS.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and the corruption; columns and encoder follow from the data."""
    return Experiment(views={"table": Choice("table", {"corrupt": 0.3})}, tasks=one_task("vime"))
