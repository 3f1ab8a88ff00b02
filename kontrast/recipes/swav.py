"""SwAV: each view predicts to which prototypes the others are assigned, with small crops; needs no negatives.

Take it for data without labels if negatives are unwanted. For example `kontrast train photos/ --recipe swav`.

Parts: task `swav`, two global and four local views, prototypes, balanced assignments over the batch of all ranks.
Settings: 128 prototypes for batches of some hundred rows, 3,000 for 4,096 rows in the paper; prototypes do not move in
the first hundredth of the run; temperature 0.1 and epsilon 0.05 as in the paper; no queue.
Reference: Caron et al. 2020, arXiv:2006.09882.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("swav"))
