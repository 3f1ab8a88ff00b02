"""Circle loss: pulls or pushes each pair harder the further it is from its target.

Take it for retrieval by class. Needs labels.

Parts: loss `circle`, relation `same_key` on the label, sampler `balanced` (batches of P classes x K rows). Method:
`simclr` for one field, `clip` for several.
Settings: `temperature` 1, since the loss takes plain cosines; `--set tasks.contrast.loss.margin=` and `scale`.
Reference: Sun et al. 2020, arXiv:2002.10857.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment, Plan
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(
        tasks=one_task("", {"loss": "circle", "relation": {"name": "same_key", "key": "label"}, "temperature": 1.0}),
        plan=Plan(sampler=Choice("balanced")),
    )
