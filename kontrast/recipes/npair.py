"""N-pair: each row picks its partner of the same class among the partners of all others (Sohn, NIPS 2016).

Needs labels; two rows of each class in a batch, inner products of embeddings as they are, kept short by their norm.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment, Plan


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(
        method=Choice(
            "simclr", {"kernel": "dot", "relation": {"name": "same_key", "key": "label"}, "views": 1, "norm": 0.02}
        ),
        plan=Plan(sampler=Choice("balanced", {"per_class": 2})),
    )
