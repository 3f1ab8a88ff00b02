"""Barlow Twins: features of two views correlate with themselves and with no other (arXiv:2103.03230).

Needs neither labels nor negatives.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("alignment", {"loss": "barlow_twins"}))
