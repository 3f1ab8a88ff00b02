"""W-MSE: views agree after each batch is whitened, which rules out collapse.

Take it for data without labels if batches are large. A batch must hold more rows than the embedding's width.

Parts: method `alignment`, loss `wmse`, expander of two layers.
Settings: `width` 64.
Reference: Ermolov et al. 2021, arXiv:2007.06346.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The method and its settings; views and encoders follow from the data."""
    return Experiment(method=Choice("alignment", {"loss": "wmse", "width": 64, "layers": 2}))
