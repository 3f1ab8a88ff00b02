"""CLIP: rows of two or more fields that belong together: a picture and its caption, two drawings and a name.

The fields of a row attract across one shared space, other rows repel (Radford et al. 2021, arXiv:2103.00020).
    kontrast train pairs.csv --recipe clip
"""

from kontrast.core.experiment import Choice, Experiment


def experiment() -> Experiment:
    """The method; views and encoders follow from the data."""
    return Experiment(method=Choice("clip"))
