"""Decoupled contrast: NT-Xent without the positive among its candidates (arXiv:2110.06848).

Needs neither labels nor pairs; loses less than SimCLR with small batches.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(
        method=Choice("", {"relation": {"name": "same_key", "key": "id", "apart": True}, "temperature": 0.1})
    )
