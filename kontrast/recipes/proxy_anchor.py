"""Proxy-anchor: one learned centre per class pulls its samples and pushes the others (arXiv:2003.13911).

Needs labels.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("proxy_anchor"))
