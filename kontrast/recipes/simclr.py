"""SimCLR: one field of any modality, no labels and no pairs needed.

Two augmented views of each sample attract, all other samples repel (Chen et al. 2020, arXiv:2002.05709).
    kontrast train pictures/ --recipe simclr
"""

from kontrast.core.experiment import Choice, Experiment


def experiment() -> Experiment:
    """The method; views and encoders follow from the data."""
    return Experiment(method=Choice("simclr"))
