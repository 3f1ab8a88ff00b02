"""GenSCL: rows attract by how alike their soft labels are (arXiv:2206.00384).

Needs soft labels: `--field COLUMN=soft`, a list of class probabilities per row.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("", {"relation": {"name": "soft", "key": "soft"}, "temperature": 0.1}))
