"""AnglE: gold scores order the angles of two fields in the complex plane.

Take it for pairs with a graded similarity, such as STS-B. Needs two fields and a score: `--field COLUMN=score`.

Parts: method `scored`, loss `angle`.
Settings: `cosine` 1, the weight of a CoSENT term on the cosines; `scale` 20 as in the paper (`--set
method.loss.scale=`).
Reference: Li & Li 2023, arXiv:2309.12871.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The method and its settings; views and encoders follow from the data."""
    return Experiment(method=Choice("scored", {"loss": "angle", "cosine": 1.0}))
