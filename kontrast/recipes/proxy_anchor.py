"""Proxy-anchor: a learned centre per class attracts its samples and repels the others.

Take it for retrieval by class if training should converge fast. Needs labels.

Parts: task `proxy_anchor`.
Settings: `margin` 0.1 and `scale` 32 as in the paper.
Reference: Kim et al. 2020, arXiv:2003.13911.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("proxy_anchor"))
