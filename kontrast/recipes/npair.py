"""N-pair: each row picks its partner of the same class by inner product.

Take it for one field with labels if the length of an embedding should carry confidence.

Parts: task `simclr` with one view, loss `infonce`, kernel `dot`, sampler `balanced` with two rows per class.
Settings: `norm` 0.02, the weight of the mean squared length, which keeps embeddings short.
Reference: Sohn 2016, "Improved deep metric learning with multi-class n-pair loss objective", NIPS.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment, Plan
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(
        tasks=one_task(
            "simclr", {"kernel": "dot", "relation": {"name": "same_key", "key": "label"}, "views": 1, "norm": 0.02}
        ),
        plan=Plan(sampler=Choice("balanced", {"per_class": 2})),
    )
