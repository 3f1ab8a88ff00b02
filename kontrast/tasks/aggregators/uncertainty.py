"""Weighs tasks by a learned uncertainty: a task with large loss counts less."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.tasks.aggregators.aggregator import Aggregator

ROUNDING = -1e-6  # a loss of 0 may come out this far below it


class Uncertainty(Aggregator):
    """Learns one log-variance s per task, and divides the task's loss by the variance.

    At the optimum exp(s) is the loss itself, so that each task adds the gradient of half the logarithm of its loss:
    tasks with losses of different sizes count alike without tuned weights. Take it if losses differ in size and all of
    them are positive. The weight of a task multiplies both of its terms, or the variance would cancel it.

    Args:
        tasks: Names of the tasks.
        weights: Task -> weight.

    Equation:
        L = sum_t weight_t (exp(-s_t) L_t + s_t) / 2

    Reference:
        Kendall, Gal, Cipolla 2018, arXiv:1705.07115. They halve the loss of regressions only; here all are
        halved, which moves s by a constant.
    """

    def __init__(self, tasks: Sequence[str], weights: Mapping[str, float]) -> None:
        super().__init__()
        self.place = {task: k for k, task in enumerate(tasks)}
        self.weights = [weights.get(task, 1.0) for task in tasks]
        self.log_variance = nn.Parameter(torch.zeros(len(tasks)))

    def combine(self, losses: Mapping[str, Tensor], ranks: Ranks) -> Tensor:
        """Losses divided by learned variances.

        The model gets the gradient of this rank's loss. The variances get that of the global means, so that they stay
        equal on all ranks without an exchange of their gradients.

        Raises:
            UserError: The global mean of a task is negative, where the variance would shrink without end.
        """
        own = torch.stack([*losses.values()])
        means = ranks.sum(own.detach()) / ranks.world
        for task, mean in zip(losses, means.tolist(), strict=True):
            if mean < ROUNDING:
                raise UserError(
                    f"aggregator 'uncertainty': the loss of task '{task}' is {mean:.3g}; expected losses of 0 or more. "
                    "Take the aggregator weighted or upgrad."
                )
        at = [self.place[task] for task in losses]
        s = self.log_variance[at]
        weight = s.new_tensor([self.weights[k] for k in at])
        shared = (-s).exp() / 2
        value = shared.detach() * own
        learned = shared * means + weight * s / 2
        return (value + learned - (shared * means).detach()).sum()

    def learned(self) -> Mapping[str, float]:
        """Task -> exp(-s) / 2; the variance that it learned is 1 / (2 factor)."""
        factors = ((-self.log_variance.detach()).exp() / 2).tolist()
        return {task: factors[k] for task, k in self.place.items()}
