"""The contract of an optimiser, and which parameters decay."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from kontrast.core.shards import sharded
from kontrast.encoders.encoder import Encoder


class Optimiser(ABC):
    """Settings that make a torch optimiser once the parameters are known, with the defaults that suit it."""

    ROOM = "optimisers"

    learning_rate: float
    weight_decay: float

    @abstractmethod
    def build(self, groups: list[dict[str, object]], learning_rate: float) -> torch.optim.Optimizer:
        """The optimiser of these parameter groups; `weight_decay` is in them."""


def groups_of(method: nn.Module, learning_rate: float, weight_decay: float) -> list[dict[str, object]]:
    """Parameters by whether they decay, by the pace of the encoder they belong to, and by whether they are split over
    ranks, for an optimiser computes a group at once.

    What has one axis or none (norms, biases, temperatures) does not decay.
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
