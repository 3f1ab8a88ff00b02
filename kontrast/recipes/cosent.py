"""CoSENT: the cosines of two fields follow the order of gold scores.

Take it for pairs with a graded similarity, such as STS-B. Needs two fields and a score: `--field COLUMN=score`.

Parts: task `scored`, loss `cosent`.
Settings: `scale` 20 (`--set tasks.contrast.loss.scale=`).
Reference: Huang et al. 2024, "CoSENT: consistent sentence embedding via similarity ranking", TASLP 32.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("scored", {"loss": "cosent"}))
