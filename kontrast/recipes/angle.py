"""AnglE: gold scores order the angles of two fields in the complex plane.

Take it for pairs with a graded similarity, such as STS-B. Needs two fields and a score: `--field COLUMN=score`.

Parts: task `scored`, loss `angle`.
Settings: `cosine` 1, the weight of a CoSENT term on the cosines; `scale` 20 as in the paper (`--set
tasks.contrast.loss.scale=`).
Reference: Li & Li 2023, arXiv:2309.12871.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("scored", {"loss": "angle", "cosine": 1.0}))
