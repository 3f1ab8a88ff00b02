"""VICReg: views agree, each feature varies, and no two features vary together.

Take it for data without labels if negatives are unwanted, or for fields with different encoders.

Parts: task `alignment`, loss `vicreg`, expander of three layers.
Settings: weights 25, 25 and 1 as in the paper; embeddings of width 1,024 (`--set tasks.contrast.width=`), 8,192 in the
paper.
Reference: Bardes et al. 2022, arXiv:2105.04906.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("alignment", {"loss": "vicreg"}))
