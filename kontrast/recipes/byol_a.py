"""BYOL for audio: predicts one view of a sound from another, mixed with other sounds, shifted and faded.

Take it for sounds of any kind if negatives are unwanted. For example `kontrast train clips/ --recipe byol_a`.

Parts: task `byol`, mixing `background`, augmentations `resize_crop` and `fade` of log-mel spectrograms.
Settings: backgrounds of up to 0.4, boxes of 0.6 to 1.5 and fades of one deviation, as in the paper.
Reference: Niizumi et al. 2021, arXiv:2103.06695.
"""

import dataclasses

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and the changes of its views; the encoder follows from the data."""
    changes = {"pitch": 0.0, "stretch": 0.0, "mask": 0.0, "fade": 1.0, "augmentation": {"name": "resize_crop"}}
    tasks = {name: dataclasses.replace(task, mixing=Choice("background")) for name, task in one_task("byol").items()}
    return Experiment(tasks=tasks, views={"audio": Choice("audio", changes)})
