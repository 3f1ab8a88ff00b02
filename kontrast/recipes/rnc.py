"""Rank-N-Contrast: the order of embeddings follows the order of a number (arXiv:2210.01189).

Needs a target number: `--field COLUMN=number`.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(
        method=Choice(
            "simclr",
            {
                "loss": {"name": "rank_n_contrast", "root": True},
                "kernel": {"name": "distance", "temperature": 4.0},
                "relation": {"name": "target_similarity", "key": "number", "shape": "order"},
            },
        )
    )
