"""Several labels per row: rows attract by the share of labels in common (Jaccard).

Take it for tags or other multi-label data. Needs `--field COLUMN=labels`: a list of classes per row, or text with |, ;
or , between them. Rows without a label attract only their own views.

Parts: loss `infonce`, relation `shared_labels` or the same sample. Task: `simclr` for one field, `clip` for several.
Settings: `temperature` 0.1.
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
                    "name": "either",
                    "one": {"name": "shared_labels", "key": "labels", "how": "jaccard"},
                    "two": {"name": "same_key", "key": "id"},
                },
                "temperature": 0.1,
            },
        )
    )
