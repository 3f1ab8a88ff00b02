"""Momentum SGD with steps scaled per tensor to the size of the weights."""

from collections.abc import Callable
from typing import Annotated

import torch

from kontrast.core.factory import Range
from kontrast.training.optimiser import Optimiser


class LARS(Optimiser):
    """Layer-wise adaptive rate scaling, for batches of thousands of rows.

    Biases, norms and other vectors take a plain SGD step.

    Args:
        momentum: Decay of the velocity, 0 to 1. Default 0.9, as in the paper.
        trust: Ratio of step to weights, 0 to 1. Default 0.001, as in the paper.

    Equation:
        step = trust |w| / |g + decay w| (g + decay w), for a matrix w with gradient g

    Reference:
        You, Gitman, Ginsburg 2017, arXiv:1708.03888.
    """

    learning_rate = 0.3
    weight_decay = 1e-6

    def __init__(
        self, *, momentum: Annotated[float, Range(0, 1)] = 0.9, trust: Annotated[float, Range(0, 1)] = 0.001
    ) -> None:
        self.momentum, self.trust = momentum, trust

    def build(self, groups: list[dict[str, object]], learning_rate: float) -> torch.optim.Optimizer:
        """Builds this file's own implementation, since torch has none."""
        return _Lars(groups, learning_rate, self.momentum, self.trust)


class _Lars(torch.optim.Optimizer):
    def __init__(self, groups: list[dict[str, object]], lr: float, momentum: float, trust: float) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "trust": trust, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                g = p.grad.add(p, alpha=group["weight_decay"])
                if p.ndim > 1:
                    w_norm, g_norm = p.norm(), g.norm()
                    ratio = torch.where((w_norm > 0) & (g_norm > 0), group["trust"] * w_norm / g_norm, 1.0)
                    g = g * ratio
                velocity = self.state[p].setdefault("momentum", torch.zeros_like(p))
                velocity.mul_(group["momentum"]).add_(g)
                p.sub_(velocity, alpha=group["lr"])
