"""DINO: each view predicts what a teacher, a running mean of the student, makes of global views; no negatives.

Take it for data without labels if negatives are unwanted. For example `kontrast train photos/ --recipe dino`.

Parts: task `dino`, two global and four local views, momentum copies of encoder, head and last layer, a centre.
Settings: momentum from 0.99 to 1 for runs of some hundred steps, from 0.996 in the paper; 512 outputs, 65,536 in the
paper; student temperature 0.1, teacher temperature 0.04 to 0.07 over the first 0.3 of the run, as in the paper; the
last layer does not move in the first hundredth of the run.
Reference: Caron et al. 2021, arXiv:2104.14294.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("dino"))
