"""PaCo: learned class centres beside the samples, weighed by the frequency of classes (arXiv:2107.12028).

For classes of very different size.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("paco"))
