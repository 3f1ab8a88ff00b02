"""The bare inner product."""

import torch
from torch import Tensor

from kontrast.losses.kernel import Kernel


class Dot(Kernel):
    """S_ij = a_i . c_j, neither normalised nor scaled: TS2Vec (arXiv:2106.10466), N-pair."""

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides as they are."""
        return a, c

    def alike(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """As they are."""
        return z, torch.ones((), dtype=z.dtype, device=z.device)
