"""Rank-N-Contrast: distances of embeddings follow the order of a number.

Take it for a numeric target, such as an age or a dose. Needs `--field COLUMN=number`.

Parts: task `simclr`, loss `rank_n_contrast`, kernel `distance`, relation `target_similarity` by order.
Settings: kernel temperature 4 of the squared distance, which with `root` is the paper's 2 of the distance.
Reference: Zha et al. 2023, arXiv:2210.01189.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(
        tasks=one_task(
            "simclr",
            {
                "loss": {"name": "rank_n_contrast", "root": True},
                "kernel": {"name": "distance", "temperature": 4.0},
                "relation": {"name": "target_similarity", "key": "number", "shape": "order"},
            },
        )
    )
