"""Stochastic gradient descent with Nesterov momentum."""

from typing import Annotated

import torch

from kontrast.core.factory import Range
from kontrast.training.optimiser import Optimiser


class SGD(Optimiser):
    """SGD with Nesterov momentum; the optimiser of many published contrastive recipes on images.

    Args:
        momentum: Decay of the velocity, 0 to 1; 0 is plain SGD. Default 0.9.
    """

    learning_rate = 0.06
    weight_decay = 5e-4

    def __init__(self, *, momentum: Annotated[float, Range(0, 1)] = 0.9) -> None:
        self.momentum = momentum

    def build(self, groups: list[dict[str, object]], learning_rate: float) -> torch.optim.Optimizer:
        """Builds torch's SGD, with Nesterov momentum unless `momentum` is 0."""
        return torch.optim.SGD(groups, lr=learning_rate, momentum=self.momentum, nesterov=self.momentum > 0)
