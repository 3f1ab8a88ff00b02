"""SigLIP: a yes-or-no question per pair, with a learned temperature and bias.

Take it for fields that belong together, or two views of one field, if batches are small.

Parts: loss `siglip`, cosine with a learned temperature. Task: `simclr` for one field, `clip` for several.
Settings: `temperature` 0.1 at the start (scale 10), as in the paper.
Reference: Zhai et al. 2023, arXiv:2303.15343.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(
        tasks=one_task("", {"loss": "siglip", "kernel": {"name": "cosine", "learnable": True}, "temperature": 0.1})
    )
