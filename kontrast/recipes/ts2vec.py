"""TS2Vec: an instant of a series is the same instant in another crop of it, at every scale of time.

Take it for one field of time series of any length, if instants differ in meaning or each needs a vector. For example
`kontrast train ucr/GunPoint --recipe ts2vec`.

Parts: task `ts2vec`, encoder `dilated_cnn`, inner products without temperature.
Settings: half of the instants hidden, equal weight of series and instants, ten blocks, 320 features and learning rate
0.001, all as in the paper; its batches of 8 and 200 to 600 steps are `--set plan.batch=8 --steps 200`.
Reference: Yue et al. 2022, arXiv:2106.10466.
"""

from kontrast.core.experiment import Choice, Experiment, Plan
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task, its encoder and the learning rate; the view follows from the data."""
    return Experiment(
        tasks=one_task("ts2vec"),
        encoders={"series": Choice("dilated_cnn")},
        plan=Plan(learning_rate=0.001, weight_decay=0.01),
    )
