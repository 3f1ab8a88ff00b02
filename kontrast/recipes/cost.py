"""CoST: trends of two distorted views agree at an instant, and their seasons at every frequency.

Take it for one field of time series that you want to forecast, then `run.embed_instants` with `window="causal"` and
`kontrast.evaluation.forecasting`. For example `kontrast train load.npz --recipe cost`.

Parts: task `cost`, encoder `trend_season_cnn`, momentum copies and a queue of trends.
Settings: weight 0.0005 of the season, temperature 0.07, momentum 0.999 and 320 features, as in the paper; learning rate
0.001 for AdamW, where the authors' code takes SGD.
Reference: Woo et al. 2022, arXiv:2202.01575.
"""

from kontrast.core.experiment import Choice, Experiment, Plan
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task, its encoder and the learning rate; the view follows from the data."""
    return Experiment(
        tasks=one_task("cost"),
        encoders={"series": Choice("trend_season_cnn")},
        plan=Plan(learning_rate=0.001),
    )
