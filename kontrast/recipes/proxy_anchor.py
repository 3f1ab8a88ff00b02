"""Proxy-anchor: a learned centre per class attracts its samples and repels the others.

Take it for retrieval by class if training should converge fast. Needs labels.

Parts: method `proxy_anchor`.
Settings: `margin` 0.1 and `scale` 32 as in the paper.
Reference: Kim et al. 2020, arXiv:2003.13911.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The method and its settings; views and encoders follow from the data."""
    return Experiment(method=Choice("proxy_anchor"))
