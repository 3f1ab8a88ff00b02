"""Multi-similarity: mines hard pairs and weighs each by the anchor's other pairs.

Take it for retrieval on fine-grained classes. Needs labels.

Parts: loss `multi_similarity`, relation `same_key` on the label, sampler `balanced` (batches of P classes x K rows).
Task: `simclr` for one field, `clip` for several.
Settings: `temperature` 1, since the loss takes plain cosines; `--set tasks.contrast.loss.pull=`, `push`, `centre` and
`slack`.
Reference: Wang et al. 2019, arXiv:1904.06627.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment, Plan
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(
        tasks=one_task(
            "", {"loss": "multi_similarity", "relation": {"name": "same_key", "key": "label"}, "temperature": 1.0}
        ),
        plan=Plan(sampler=Choice("balanced")),
    )
