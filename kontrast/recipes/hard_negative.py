"""Hard negatives count more: negatives weighed by e^(hardness S), and debiased (arXiv:2010.04592).

Needs no labels.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(
        method=Choice("", {"loss": {"name": "debiased", "prior": 0.1, "hardness": 1.0}, "temperature": 0.5})
    )
