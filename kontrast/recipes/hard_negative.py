"""Hard negatives: debiased contrast that gives harder negatives more weight.

Take it for data without labels, once SimCLR works.

Parts: loss `debiased`. Method: `simclr` for one field, `clip` for several.
Settings: `hardness` 1, the paper's beta; `prior` 0.1; `temperature` 0.5 as in the paper (`--set
method.loss.hardness=`).
Reference: Robinson et al. 2021, arXiv:2010.04592.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The method and its settings; views and encoders follow from the data."""
    return Experiment(
        method=Choice("", {"loss": {"name": "debiased", "prior": 0.1, "hardness": 1.0}, "temperature": 0.5})
    )
