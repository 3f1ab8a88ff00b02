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
                    "one": {"name": "same", "key": "label", "apart": True},
                    "two": {"name": "counting", "one": {"name": "within", "key": "sensitive"}},
                },
                "temperature": 0.1,
            },
        )
    )
