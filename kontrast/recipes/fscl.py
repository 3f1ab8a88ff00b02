"""FSCL: supervised contrast that does not learn a sensitive attribute.

Take it if the embedding should not reveal a group, such as gender. Needs labels and `--field COLUMN=sensitive`.

Parts: loss `infonce`; positives of the class from any group, negatives of other classes from the anchor's own group.
Task: `simclr` for one field, `clip` for several.
Settings: `temperature` 0.1.
Reference: Park et al. 2022, arXiv:2203.16209.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(
        tasks=one_task(
            "",
            {
                "relation": {
                    "name": "both",
                    "one": {"name": "same_key", "key": "label", "apart": True},
                    "two": {"name": "candidates_only", "one": {"name": "within_group", "key": "sensitive"}},
                },
                "temperature": 0.1,
            },
        )
    )
