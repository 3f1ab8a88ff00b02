"""Masked prediction: hidden tokens, instants or patches are predicted from what surrounds them.

Take it for data without labels for which no augmentation is known to keep the meaning, or beside a contrast.

Parts: task `masked` on the encoder's dense features; cross-entropy over the vocabulary, or squared error of values.
Settings: `share` 0.15 of tokens, 0.3 of instants, 0.5 of patches.
Reference: Devlin et al. 2019, arXiv:1810.04805; He et al. 2022, arXiv:2111.06377.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task; views and encoders follow from the data."""
    return Experiment(tasks=one_task("masked"))
