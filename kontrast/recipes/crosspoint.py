"""CrossPoint: a cloud attracts its picture, as in CLIP, and two views of the cloud attract, as in SimCLR.

Take it for clouds or meshes with a rendered picture or photo each. For example `kontrast train shapes.csv --recipe
crosspoint`.

Parts: task `clip` over all fields and `simclr` over the clouds, which share the encoder; all changes of `points`.
Settings: both terms weigh 1 as in the paper; temperatures are those of the tasks. The picture meets one view of the
cloud, in the paper the mean of two.
Reference: Afham et al. 2022, arXiv:2203.00680.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import MAIN, TaskChoice


def experiment() -> Experiment:
    """The two tasks; encoders follow from the data."""
    return Experiment(
        tasks={MAIN: TaskChoice(Choice("clip")), "clouds": TaskChoice(Choice("simclr"), fields=("points",))},
        views={"points": Choice("points", {"strength": "strong"})},
    )
