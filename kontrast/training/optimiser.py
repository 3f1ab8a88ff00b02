"""Contract of an optimiser, and parameter groups by weight decay."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from kontrast.core.shards import sharded
from kontrast.encoders.encoder import Encoder


class Optimiser(ABC):
    """Settings from which a torch optimiser is built once the parameters are known.

    Attributes:
        learning_rate: Default learning rate.
        weight_decay: Default weight decay.
    """

    ROOM = "optimisers"

    learning_rate: float
    weight_decay: float

    @abstractmethod
    def build(self, groups: list[dict[str, object]], learning_rate: float) -> torch.optim.Optimizer:
        """Builds the torch optimiser.

        Args:
            groups: Parameter groups, each with its `lr` and `weight_decay`.
            learning_rate: Default of groups without one.
        """


def groups_of(method: nn.Module, learning_rate: float, weight_decay: float) -> list[dict[str, object]]:
    """Groups trainable parameters by weight decay, pace of their encoder, and sharding.

    Parameters with at most one axis (norms, biases, temperatures) do not decay. Sharded parameters need their own
    groups,
    since an optimiser computes a group at once.

    Args:
        method: Module with the parameters.
        learning_rate: Multiplied by the pace of the encoder that a parameter belongs to.
        weight_decay: Of parameters with two axes or more.
    """
    pace_of = {id(p): e.pace for e in method.modules() if isinstance(e, Encoder) for p in e.parameters()}
    groups: dict[tuple[float, bool, bool], list[nn.Parameter]] = {}
    for p in method.parameters():
        if p.requires_grad:
            groups.setdefault((pace_of.get(id(p), 1.0), p.ndim > 1, sharded(p)), []).append(p)
    return [
        {"params": some, "lr": learning_rate * pace, "weight_decay": weight_decay if decays else 0.0}
        for (pace, decays, _), some in groups.items()
    ]
