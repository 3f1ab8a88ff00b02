"""SimCLR: augmented views of each sample attract, all other samples repel.

Take it for one field of any modality, without labels or pairs. For example `kontrast train pictures/ --recipe simclr`.

Parts: task `simclr`, loss `infonce` (NT-Xent), kernel `cosine`, two views.
Settings: `temperature` 0.2; the paper has 0.1 on ImageNet and 0.5 on CIFAR.
Reference: Chen et al. 2020, arXiv:2002.05709.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("simclr"))
