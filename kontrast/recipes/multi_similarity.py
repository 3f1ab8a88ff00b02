"""Multi-similarity: mined pairs, weighed by their own and their peers' similarity (arXiv:1904.06627).

Needs labels; batches of P classes x K rows.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment, Plan


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(
        method=Choice(
            "", {"loss": "multi_similarity", "relation": {"name": "same_key", "key": "label"}, "temperature": 1.0}
        ),
        plan=Plan(sampler=Choice("balanced")),
    )
