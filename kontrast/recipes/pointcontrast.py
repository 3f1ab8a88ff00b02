"""PointContrast: points of a cloud are found again in another part of it, turned and stretched otherwise.

Take it if points are used afterwards (segmentation of parts, registration). For example `kontrast train scans/
--recipe pointcontrast`.

Parts: task `pointcontrast`, loss `infonce` over points, encoder `dgcnn`, whose points see their neighbours.
Settings: temperature 0.07 and width 32 as in the paper; 64 matches per cloud, 4,096 per batch in the paper.
Reference: Xie et al. 2020, arXiv:2007.10985.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its encoder; views follow from the data."""
    return Experiment(tasks=one_task("pointcontrast"), encoders={"points": Choice("dgcnn")})
