"""SigLIP: every pair is a yes-or-no question, with a learned temperature and bias (arXiv:2303.15343).

For two views of one field, or for several fields of a row.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(
        method=Choice("", {"loss": "siglip", "kernel": {"name": "cosine", "learnable": True}, "temperature": 0.1})
    )
