"""Triplet loss: each row is closer to its class than to others, by a margin.

Take it for comparison with FaceNet and its successors; SupCon usually learns faster. Needs labels.

Parts: loss `triplet` with semi-hard mining, relation `same_key` on the label, sampler `balanced` (batches of P classes
x K rows). Task: `simclr` for one field, `clip` for several.
Settings: `--set tasks.contrast.loss.triplets=all`, `semihard` or `hard` (arXiv:1703.07737); `temperature` 0.5, which
makes the similarity the negative squared distance on the sphere, plus 2.
Reference: Schroff et al. 2015, arXiv:1503.03832.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment, Plan
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(
        tasks=one_task(
            "",
            {
                "loss": {"name": "triplet", "triplets": "semihard"},
                "relation": {"name": "same_key", "key": "label"},
                "temperature": 0.5,
            },
        ),
        plan=Plan(sampler=Choice("balanced")),
    )
