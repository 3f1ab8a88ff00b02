"""Hard negatives: debiased contrast that gives harder negatives more weight.

Take it for data without labels, once SimCLR works.

Parts: loss `debiased`. Task: `simclr` for one field, `clip` for several.
Settings: `hardness` 1, the paper's beta; `prior` 0.1; `temperature` 0.5 as in the paper (`--set
tasks.contrast.loss.hardness=`).
Reference: Robinson et al. 2021, arXiv:2010.04592.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(
        tasks=one_task("", {"loss": {"name": "debiased", "prior": 0.1, "hardness": 1.0}, "temperature": 0.5})
    )
