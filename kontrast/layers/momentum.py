"""Momentum copy: a module that follows another as a running mean of its parameters."""

import copy
import math
from typing import Any

import torch
from torch import nn


class MomentumCopy(nn.Module):
    """Copy of a module without gradient, whose parameters follow those of the original.

    It starts equal to the original. Buffers are its own: the statistics of a batch norm come from what the copy itself
    has seen, as in the authors' code of MoCo and BYOL.

    Args:
        original: Module to copy.

    Equation:
        p <- m p + (1 - m) q, p a parameter of the copy, q that of the original.

    Reference:
        He et al. 2020, arXiv:1911.05722; Grill et al. 2020, arXiv:2006.07733.

    Example:
        >>> original = nn.Linear(1, 1, bias=False)
        >>> copied = MomentumCopy(original)
        >>> _ = original.weight.data.fill_(2.0), copied.module.weight.data.fill_(1.0)
        >>> copied.update(original, 0.75)
        >>> copied.module.weight.item()
        1.25
    """

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(original).requires_grad_(False)

    def forward(self, *inputs: Any) -> Any:
        """What the copy makes of the inputs."""
        return self.module(*inputs)

    @torch.no_grad()
    def update(self, original: nn.Module, momentum: float) -> None:
        """Moves every parameter towards that of the original.

        Args:
            original: Module that was copied, now with other parameters.
            momentum: Share of its own value that a parameter keeps, 0 to 1.
        """
        for own, other in zip(self.module.parameters(), original.parameters(), strict=True):
            own.lerp_(other.to(own.dtype), 1 - momentum)


def cosine_momentum(start: float, end: float, progress: float) -> float:
    """Momentum that goes from `start` to `end` along half a cosine.

    Args:
        start: Momentum at progress 0.
        end: Momentum at progress 1; 1 in BYOL and MoCo v3.
        progress: Share of the run that is done, 0 to 1.

    Returns:
        The momentum, from `start` to `end`.

    Equation:
        end - (end - start) (cos(pi progress) + 1) / 2.

    Reference:
        Grill et al. 2020, arXiv:2006.07733.

    Example:
        >>> [round(cosine_momentum(0.9, 1.0, progress), 4) for progress in (0, 0.5, 1)]
        [0.9, 0.95, 1.0]
    """
    return end - (end - start) * (math.cos(math.pi * progress) + 1) / 2
