"""CPC: the past of a series recognises its next latents among those of other rows and times.

Take it for one field of time series of any length whose past says something of their future, if nothing may be
augmented. For example `kontrast train ucr/GunPoint --recipe cpc`.

Parts: task `cpc`, encoder `tcn` made causal, inner products without temperature.
Settings: 12 steps ahead and a context of 256 numbers, as in the paper; two residual blocks, so that a latent sees 15
instants and repeats little of the past; normalised over the data set, since the mean of a row would tell its future.
Reference: van den Oord, Li, Vinyals 2018, arXiv:1807.03748.
"""

from kontrast.core.experiment import Choice, Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task, series normalised over the data set, and an encoder that sees little of the past."""
    return Experiment(
        tasks=one_task("cpc"),
        views={"series": Choice("series", {"normalise": "dataset"})},
        encoders={"series": Choice("tcn", {"causal": True, "depth": 2, "pool": "statistics"})},
    )
