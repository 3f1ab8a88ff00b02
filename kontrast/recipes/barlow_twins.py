"""Barlow Twins: each feature correlates with itself across views and with no other feature.

Take it for data without labels if negatives are unwanted.

Parts: task `alignment`, loss `barlow_twins`, expander of three layers.
Settings: `off` 0.005 as in the paper; embeddings of width 1,024 (`--set tasks.contrast.width=`), 8,192 in the paper.
Reference: Zbontar et al. 2021, arXiv:2103.03230.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("alignment", {"loss": "barlow_twins"}))
