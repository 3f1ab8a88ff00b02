"""Debiased contrast: the negatives, less what false ones among them are expected to add (arXiv:2007.00224).

Needs no labels; `--set method.loss.prior=` is the chance that a random row is of the anchor's class.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("", {"loss": {"name": "debiased", "prior": 0.1}, "temperature": 0.5}))
