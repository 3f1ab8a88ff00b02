"""CoSENT: the cosines of two fields follow the order of gold scores.

Take it for pairs with a graded similarity, such as STS-B. Needs two fields and a score: `--field COLUMN=score`.

Parts: method `scored`, loss `cosent`.
Settings: `scale` 20 (`--set method.loss.scale=`).
Reference: Huang et al. 2024, "CoSENT: consistent sentence embedding via similarity ranking", TASLP 32.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The method and its settings; views and encoders follow from the data."""
    return Experiment(method=Choice("scored", {"loss": "cosent"}))
