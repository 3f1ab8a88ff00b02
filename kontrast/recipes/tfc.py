"""TF-C: a series is like its augmented self in time and in frequency, and both are alike.

Caution: the published transfer is reported as not reproducible (about half of the figure from FD-A to FD-B). Take it to
compare with the paper, and run `simclr`, `ts2vec` or `tloss` beside it. For example `kontrast train ucr/GunPoint
--recipe tfc`.

Parts: task `tfc`, encoder `time_frequency`.
Settings: weight 0.2 of time and frequency beside their consistency, temperature 0.2 and embeddings of 128 numbers, as
in the authors' code, whose extra term of the loss (poly loss) is left out.
Reference: Zhang et al. 2022, arXiv:2206.08496.
"""

from kontrast.core.experiment import Choice, Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its encoder; the views follow from the data."""
    return Experiment(tasks=one_task("tfc"), encoders={"series": Choice("time_frequency")})
