"""Barlow Twins: each feature correlates with itself across views and with no other feature.

Take it for data without labels if negatives are unwanted.

Parts: method `alignment`, loss `barlow_twins`, expander of three layers.
Settings: `off` 0.005 as in the paper; embeddings of width 1,024 (`--set method.width=`), 8,192 in the paper.
Reference: Zbontar et al. 2021, arXiv:2103.03230.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The method and its settings; views and encoders follow from the data."""
    return Experiment(method=Choice("alignment", {"loss": "barlow_twins"}))
