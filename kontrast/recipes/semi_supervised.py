"""Semi-supervised contrast: SimCLR on all rows and SupCon on the labelled ones, on one encoder.

Take it if only some rows have a label. Each step sees rows of both kinds, however few labelled ones there are.

Parts: task `simclr` twice, with a head each; the relation of the second is `same_key` on the label.
Settings: `tasks.contrast.temperature` 0.2, `tasks.labels.temperature` 0.1, weights 1 and 1.
Reference: Chen et al. 2020, arXiv:2002.05709; Khosla et al. 2020, arXiv:2004.11362.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import MAIN, TaskChoice
from kontrast.tasks.parts import LABEL


def experiment() -> Experiment:
    """Both tasks; views and encoders follow from the data."""
    supcon = Choice("simclr", {"relation": LABEL, "temperature": 0.1})
    return Experiment(tasks={MAIN: TaskChoice(Choice("simclr")), "labels": TaskChoice(supcon, rows="labelled")})
