"""Adam with decoupled weight decay, the default optimiser."""

from typing import Annotated

import torch

from kontrast.core.factory import Range
from kontrast.training.optimiser import Optimiser


class AdamW(Optimiser):
    """Adam with decoupled weight decay; works at every batch size of a single machine.

    Args:
        beta1: Decay of the mean of gradients, 0 to 0.99999. Default 0.9, as in the paper.
        beta2: Decay of the mean of squared gradients, 0 to 0.9999999. Default 0.99; the paper and PyTorch take 0.999.

    Reference:
        Loshchilov, Hutter, ICLR 2019, arXiv:1711.05101.
    """

    learning_rate = 2e-3
    weight_decay = 0.05

    def __init__(
        self, *, beta1: Annotated[float, Range(0, 0.99999)] = 0.9, beta2: Annotated[float, Range(0, 0.9999999)] = 0.99
    ) -> None:
        self.betas = (beta1, beta2)

    def build(self, groups: list[dict[str, object]], learning_rate: float) -> torch.optim.Optimizer:
        """Builds torch's fused AdamW."""
        return torch.optim.AdamW(groups, lr=learning_rate, betas=self.betas, fused=True)
