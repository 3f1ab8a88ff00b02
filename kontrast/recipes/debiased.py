"""Debiased contrast: subtracts what false negatives are expected to add to the denominator.

Take it for data without labels in which a random row often shares the anchor's unknown class.

Parts: loss `debiased`. Method: `simclr` for one field, `clip` for several.
Settings: `prior` 0.1, the chance of a false negative (`--set method.loss.prior=`); `temperature` 0.5 as in the paper.
Reference: Chuang et al. 2020, arXiv:2007.00224.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The method and its settings; views and encoders follow from the data."""
    return Experiment(method=Choice("", {"loss": {"name": "debiased", "prior": 0.1}, "temperature": 0.5}))
