"""CoSENT: cosines of two fields of a row follow the order of its gold scores, as of STS-B (Su 2022).

Needs two fields and a score: `--field COLUMN=score`.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("scored", {"loss": "cosent"}))
