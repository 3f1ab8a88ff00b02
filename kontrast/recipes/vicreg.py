"""VICReg: views agree, each feature varies, no two features say the same (arXiv:2105.04906).

Needs neither labels nor negatives.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("alignment", {"loss": "vicreg"}))
