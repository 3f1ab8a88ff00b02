"""ArcFace: a classifier over learned class centres with an angular margin.

Take it for many classes with few rows each, such as faces. Needs labels. CosFace: `--set tasks.contrast.loss=cosface`;
a plain cosine classifier: `--set tasks.contrast.loss=infonce`.

Parts: task `proxies`, loss `arcface`.
Settings: margin 0.5 and scale 64 as in the paper (`--set tasks.contrast.loss.margin=`).
Reference: Deng et al. 2019, arXiv:1801.07698.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("proxies", {"loss": "arcface"}))
