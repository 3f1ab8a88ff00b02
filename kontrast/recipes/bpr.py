"""BPR: an anchor (a user, a query) lies nearer to what was chosen for it than to what was rejected.

Take it for recommendation and search with known rejections: fields `anchor`, `chosen` and `rejected`. For example
`kontrast train clicks.csv --recipe bpr`.

Parts: method `bpr`, cosine with temperature 0.1.
Settings: `similarity` cosine or dot, `temperature`, `margin` 0.
Reference: Rendle et al. 2009, arXiv:1205.2618.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("bpr"))
