"""AnglE: gold scores order the angles of two fields in the complex plane, beside their cosines (arXiv:2309.12871).

Needs two fields and a score: `--field COLUMN=score`.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("scored", {"loss": "angle", "cosine": 1.0}))
