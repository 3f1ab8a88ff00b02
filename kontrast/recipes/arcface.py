"""ArcFace: a classifier over learned class centres with an angular margin.

Take it for many classes with few rows each, such as faces. Needs labels. CosFace: `--set method.loss=cosface`; a plain
cosine classifier: `--set method.loss=infonce`.

Parts: method `proxies`, loss `arcface`.
Settings: margin 0.5 and scale 64 as in the paper (`--set method.loss.margin=`).
Reference: Deng et al. 2019, arXiv:1801.07698.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The method and its settings; views and encoders follow from the data."""
    return Experiment(method=Choice("proxies", {"loss": "arcface"}))
