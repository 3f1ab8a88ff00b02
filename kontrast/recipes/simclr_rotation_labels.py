"""SimCLR on all images, rotation beside it, and few labels, none at the cost of another.

Take it for images of which few have a class. UPGrad changes the encoder only in directions that raise no task's loss.

Parts: tasks `simclr`, `rotation` and `classification` (labelled rows); aggregator `upgrad`, which needs
`pip install 'kontrast[tasks]'`.
Settings: weights 1, 0.5 and 0.5.
Reference: Chen et al. 2020, arXiv:2002.05709; Gidaris et al. 2018, arXiv:1803.07728; Quinton, Rey 2024,
arXiv:2406.16232.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import MAIN, TaskChoice


def experiment() -> Experiment:
    """The three tasks; views and encoders follow from the data."""
    tasks = {
        MAIN: TaskChoice(Choice("simclr")),
        "rotation": TaskChoice(Choice("rotation"), weight=0.5),
        "labels": TaskChoice(Choice("classification"), rows="labelled", weight=0.5),
    }
    return Experiment(tasks=tasks, aggregator=Choice("upgrad"))
