"""TS-TCC: the past of one view of a series predicts the next latents of the other, and their contexts agree.

Take it for one field of time series of sensors, whose meaning survives scaling and shuffled parts. For example
`kontrast train ucr/GunPoint --recipe ts_tcc`.

Parts: task `ts_tcc`, augmentations `jitter_scale` and `permutation`, encoder `tcn` made causal.
Settings: 6 steps ahead, a context of 100 numbers, temperature 0.2 and weights 1 and 0.7, as in the authors' code for
HAR; two residual blocks, since latents that see the whole row need no prediction.
Reference: Eldele et al. 2021, arXiv:2106.14112.
"""

from kontrast.core.experiment import Choice, Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task, and an encoder that sees little of the past; the view follows from the data."""
    encoder = Choice("tcn", {"causal": True, "depth": 2, "pool": "statistics"})
    return Experiment(tasks=one_task("ts_tcc"), encoders={"series": encoder})
