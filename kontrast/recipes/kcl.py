"""KCL: supervised contrast with k positives from the class, however large it is.

Take it for classes of very different size. Needs labels.

Parts: method `kcl`.
Settings: `k` 6 as in the paper; `temperature` 0.1.
Reference: Kang et al. 2021, "Exploring balanced feature spaces for representation learning", ICLR.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The method and its settings; views and encoders follow from the data."""
    return Experiment(method=Choice("kcl"))
