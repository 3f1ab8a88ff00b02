"""COLA: two segments of a sound attract, compared by a learned bilinear form; nothing else is changed.

Take it for sounds whose parts belong together, such as speakers or scenes. For example `kontrast train clips/ --recipe
cola`.

Parts: task `simclr`, kernel `bilinear`, a linear head, segments without further augmentation.
Settings: temperature 1, as in the paper; embeddings of 128 numbers, 512 in the paper.
Reference: Saeed, Grangier, Zeghidour 2021, arXiv:2010.10915.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task, its kernel and plain segments; the encoder follows from the data."""
    settings = {"kernel": {"name": "bilinear"}, "temperature": 1.0, "hidden": 0, "norm": 0.001}
    return Experiment(tasks=one_task("simclr", settings), views={"audio": Choice("audio", {"strength": "light"})})
