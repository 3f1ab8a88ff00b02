"""Circle loss: each pair is pulled or pushed by how far it is from its optimum (arXiv:2002.10857).

Needs labels; batches of P classes x K rows.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment, Plan


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(
        method=Choice("", {"loss": "circle", "relation": {"name": "same_key", "key": "label"}, "temperature": 1.0}),
        plan=Plan(sampler=Choice("balanced")),
    )
