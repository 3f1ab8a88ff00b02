"""The contract of an optimiser, and which parameters decay."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import nn


class Optimiser(ABC):
    """Settings that make a torch optimiser once the parameters are known, with the defaults that suit it."""

    learning_rate: float
    weight_decay: float

    @abstractmethod
    def build(self, groups: list[dict[str, object]], learning_rate: float) -> torch.optim.Optimizer:
        """The optimiser of these parameter groups; `weight_decay` is in them."""


def groups_of(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters that decay and parameters that do not: norms, biases, temperatures and all else of one axis or none."""
    learned = [p for p in module.parameters() if p.requires_grad]
    matrices, others = _split(learned)
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _split(parameters: Iterable[nn.Parameter]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    matrices, others = [], []
    for p in parameters:
        (matrices if p.ndim > 1 else others).append(p)
    return matrices, others
