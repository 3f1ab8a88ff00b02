"""Inner product, neither normalised nor scaled."""

import torch
from torch import Tensor

from kontrast.losses.kernel import Kernel


class Dot(Kernel):
    """Inner product, neither normalised nor scaled.

    Take it with losses that bound the length of embeddings (`Spectral`, N-pair, JSD), for TS2Vec, and for rows that are
    already normalised and scaled. Otherwise take `Cosine`.

    Shape:
        (..., N, D), (..., M, D) -> (..., N, M).

    Equation:
        S_ij = a_i . c_j

    Reference:
        TS2Vec arXiv:2106.10466; N-pair: Sohn 2016, NIPS.

    Example:
        >>> a, c = Dot()(torch.eye(2), torch.eye(2))
        >>> (a @ c.T).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides unchanged."""
        return a, c

    def alike(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Rows unchanged, and 1."""
        return z, torch.ones((), dtype=z.dtype, device=z.device)
