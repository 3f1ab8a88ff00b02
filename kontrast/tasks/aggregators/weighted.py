"""Adds the tasks' losses with fixed weights; the default."""

from kontrast.tasks.aggregators.aggregator import Aggregator


class Weighted(Aggregator):
    """Adds the losses of the tasks, each times its weight.

    Take it first: it costs nothing, and works with passes and with fsdp. The weights are those of the tasks
    (`tasks.NAME.weight`, default 1).

    Equation:
        L = sum_t weight_t L_t
    """
