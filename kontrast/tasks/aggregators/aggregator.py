"""Contract of an aggregator: how several tasks become one gradient."""

from abc import ABC
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kontrast.core.ranks import Ranks


class Aggregator(nn.Module, ABC):
    """How several tasks become one gradient.

    An aggregator combines either the losses of the tasks, which costs nothing, or their gradients with respect to the
    shared parameters, which costs one backward pass per task. Its own parameters are trained beside those of the model.
    A constructor may name the facts `tasks` (their names, in order) and `weights` (task -> weight).
    """

    ROOM = "aggregators"

    jacobian: bool = False
    """Whether it needs the gradient of each task on its own."""

    def combine(self, losses: Mapping[str, Tensor], ranks: Ranks) -> Tensor:
        """Objective of a step: the sum of the losses, unless the aggregator says otherwise.

        If the aggregator combines gradients, this is only the number that is reported.

        Args:
            losses: Task -> this rank's loss times the task's weight, scaled so that its mean over ranks is the global
                mean. A task without an anchor in this step is left out, on all ranks.
            ranks: Access to the other ranks.

        Returns:
            This rank's scalar, with the mean over ranks as the objective.
        """
        return torch.stack([*losses.values()]).sum()

    def learned(self) -> Mapping[str, float]:
        """Task -> factor of its loss that the aggregator learned until now; empty if it learns none."""
        return {}

    def aggregate(self, gramian: Tensor, seed: int) -> Tensor:
        """Weights of the tasks' gradients; the update of shared parameters is their weighted sum.

        Args:
            gramian: (T, T) inner products of the tasks' gradients, averaged over ranks before; float64, on the CPU,
                finite. T counts the tasks of this step.
            seed: Seed of the step, equal on all ranks.

        Returns:
            (T,) float64.

        Raises:
            NotImplementedError: The aggregator combines losses.
        """
        raise NotImplementedError(f"{type(self).__name__} combines losses, not gradients.")
