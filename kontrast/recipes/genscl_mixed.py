"""GenSCL with MixUp and CutMix: mixed images attract by the shares of their classes; a teacher may be added.

Take it for images with labels. A teacher that knows the classes well adds its own view of which are alike:
`--set tasks.contrast.teacher=RUN`. For labels that are distributions already, without mixing, take `genscl`.

Parts: task `genscl`, mixing `mixup_cutmix`, loss `infonce`, relation `soft`.
Settings: `temperature` 0.1, `alpha` 1, as in the paper; each view is mixed by itself, each row by CutMix or MixUp.
Reference: Kim et al. 2022, arXiv:2206.00384.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import MAIN, TaskChoice


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks={MAIN: TaskChoice(Choice("genscl"), mixing=Choice("mixup_cutmix"))})
