"""T-Loss: a random part of a series is like a part of itself, and unlike random parts of other series.

Take it for one field of time series of any length, if each keeps its character over time. For example `kontrast train
ucr/GunPoint --recipe tloss`.

Parts: task `tloss`, inner products under the logistic function.
Settings: ten negatives and embeddings of 160 numbers, as in the paper; its encoder, causal dilated convolutions pooled
by their maximum, is most like `--encoder series=dilated_cnn`, which computes more than the default.
Reference: Franceschi, Dieuleveut, Jaggi 2019, arXiv:1901.10738.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task alone; the view and the encoder follow from the data."""
    return Experiment(tasks=one_task("tloss"))
