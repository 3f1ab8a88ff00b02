"""W-MSE: whitened views agree, which leaves no room for collapse (arXiv:2007.06346).

Needs neither labels nor negatives; embeddings of 64 numbers, for a batch must hold more rows than that.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("alignment", {"loss": "wmse", "width": 64, "layers": 2}))
