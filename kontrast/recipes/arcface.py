"""ArcFace: a classifier over class centres with an angular margin (arXiv:1801.07698).

Needs labels. CosFace: `--set method.loss=cosface`; a plain cosine classifier: `--set method.loss=infonce`.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("proxies", {"loss": "arcface"}))
