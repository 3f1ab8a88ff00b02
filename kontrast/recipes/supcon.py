"""SupCon: views of a sample and all rows of its class attract.

Take it for data with labels. Rows without a label attract only their own views.

Parts: loss `infonce` (the sum over positives outside the logarithm), relation `same_key` on the label. Method:
`simclr` for one field, `clip` for several.
Settings: `temperature` 0.1 as in the paper.
Reference: Khosla et al. 2020, arXiv:2004.11362.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("", {"relation": {"name": "same_key", "key": "label"}, "temperature": 0.1}))
