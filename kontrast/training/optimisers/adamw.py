"""AdamW, the default."""

from typing import Annotated

import torch

from kontrast.core.factory import Range
from kontrast.training.optimiser import Optimiser


class AdamW(Optimiser):
    """Adam with decoupled weight decay (arXiv:1711.05101); the default, sound at every batch size a single machine
    holds."""

    learning_rate = 2e-3
    weight_decay = 0.05

    def __init__(
        self, *, beta1: Annotated[float, Range(0, 0.99999)] = 0.9, beta2: Annotated[float, Range(0, 0.9999999)] = 0.99
    ) -> None:
        self.betas = (beta1, beta2)

    def build(self, groups: list[dict[str, object]], learning_rate: float) -> torch.optim.Optimizer:
        """torch's fused one."""
        return torch.optim.AdamW(groups, lr=learning_rate, betas=self.betas, fused=True)
