"""CLAP: sounds and their words attract, other rows repel.

Take it for sounds with captions, transcripts or names of classes; rows may lack one of the two. For example `kontrast
train sounds.csv --recipe clap`, with a column of paths and a column of texts.

Parts: task `clip`, loss `infonce` in both directions, cosine with a learned temperature.
Settings: `temperature` 0.07 at the start, as in the paper.
Reference: Elizalde et al. 2022, arXiv:2206.04769.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("clip"))
