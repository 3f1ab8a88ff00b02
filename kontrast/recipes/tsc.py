"""TSC: KCL, and each class is drawn to a point of its own, spread evenly over the sphere (arXiv:2111.13998).

For classes of very different size.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("kcl", {"strength": 1.0}))
