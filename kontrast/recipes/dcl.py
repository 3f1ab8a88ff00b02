"""Decoupled contrastive learning: NT-Xent without the positive among its candidates.

Take it for data without labels if batches are small; it loses less than SimCLR there.

Parts: loss `infonce`, relation `same_key` on the sample, `apart`. Task: `simclr` for one field, `clip` for several.
Settings: `temperature` 0.1 as in the paper.
Reference: Yeh et al. 2022, arXiv:2110.06848.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(
        tasks=one_task("", {"relation": {"name": "same_key", "key": "id", "apart": True}, "temperature": 0.1})
    )
