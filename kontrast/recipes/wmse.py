"""W-MSE: views agree after each batch is whitened, which rules out collapse.

Take it for data without labels if batches are large. A batch must hold more rows than the embedding's width.

Parts: task `alignment`, loss `wmse`, expander of two layers.
Settings: `width` 64.
Reference: Ermolov et al. 2021, arXiv:2007.06346.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("alignment", {"loss": "wmse", "width": 64, "layers": 2}))
