"""Rank-N-Contrast: distances of embeddings follow the order of a number.

Take it for a numeric target, such as an age or a dose. Needs `--field COLUMN=number`.

Parts: method `simclr`, loss `rank_n_contrast`, kernel `distance`, relation `target_similarity` by order.
Settings: kernel temperature 4 of the squared distance, which with `root` is the paper's 2 of the distance.
Reference: Zha et al. 2023, arXiv:2210.01189.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The method and its settings; views and encoders follow from the data."""
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
