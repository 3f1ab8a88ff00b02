"""CoCa: fields of a row attract as in CLIP, and its text is also predicted word by word.

Take it for images, series or texts with a caption that tells of their parts. The report shows captions of rows that
training never saw.

Parts: tasks `clip` and `captioning`, which share encoders and views.
Settings: the captions weigh 2, the contrast 1, as in the paper.
Reference: Yu et al. 2022, arXiv:2205.01917.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import MAIN, TaskChoice


def experiment() -> Experiment:
    """The two tasks; views and encoders follow from the data."""
    return Experiment(tasks={MAIN: TaskChoice(Choice("clip")), "captions": TaskChoice(Choice("captioning"), weight=2)})
