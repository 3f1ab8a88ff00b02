"""Supervised contrast: views of the sample and all rows of its class attract (arXiv:2004.11362).

For labelled rows of one field or several; rows without a label attract their own views alone. Temperature 0.1 as in
the paper, the sum over positives outside the logarithm.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(method=Choice("", {"relation": {"name": "same_key", "key": "label"}, "temperature": 0.1}))
