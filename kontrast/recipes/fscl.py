"""FSCL: supervised contrast that does not learn a sensitive attribute (arXiv:2203.16209).

Needs labels and `--field COLUMN=sensitive`: negatives are of the anchor's own group, so that the group tells nobody
apart.
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
                    "name": "both",
                    "one": {"name": "same_key", "key": "label", "apart": True},
                    "two": {"name": "candidates_only", "one": {"name": "within_group", "key": "sensitive"}},
                },
                "temperature": 0.1,
            },
        )
    )
