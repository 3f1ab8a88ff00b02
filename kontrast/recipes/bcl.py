"""BCL: each class counts once among the candidates, and none is ever absent (arXiv:2207.09052).

For classes of very different size.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("bcl"))
