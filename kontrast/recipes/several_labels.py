"""Several labels per row: rows attract by the share of labels that they have in common (Jaccard).

Needs several labels: `--field COLUMN=labels`, a list of classes per row, or words with |, ; or , between them. For
labelled rows of one field or several; rows without any label attract their own views alone.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(
        method=Choice(
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
