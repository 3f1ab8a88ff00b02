"""GenSCL: rows attract in proportion to how similar their soft labels are.

Take it for labels that are probabilities, as a teacher or annotators give them. Needs `--field COLUMN=soft`, a list of
class probabilities per row.

Parts: loss `infonce`, relation `soft`. Task: `simclr` for one field, `clip` for several.
Settings: `temperature` 0.1 as in the paper.
Reference: Kim et al. 2022, arXiv:2206.00384.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("", {"relation": {"name": "soft", "key": "soft"}, "temperature": 0.1}))
