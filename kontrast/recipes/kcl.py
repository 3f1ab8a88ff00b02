"""KCL: supervised contrast with k positives of the class, however many it has (Kang et al., ICLR 2021).

For classes of very different size.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("kcl"))
