"""Debiased contrast: subtracts what false negatives are expected to add to the denominator.

Take it for data without labels in which a random row often shares the anchor's unknown class.

Parts: loss `debiased`. Task: `simclr` for one field, `clip` for several.
Settings: `prior` 0.1, the chance of a false negative (`--set tasks.contrast.loss.prior=`); `temperature` 0.5 as in the
paper.
Reference: Chuang et al. 2020, arXiv:2007.00224.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("", {"loss": {"name": "debiased", "prior": 0.1}, "temperature": 0.5}))
