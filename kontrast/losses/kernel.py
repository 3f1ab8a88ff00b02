"""Contract of kernels: similarity of two rows."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Kernel(nn.Module, ABC):
    """Similarity as an inner product of both sides, each prepared once.

    S = forward(a, c)[0] @ forward(a, c)[1].T, so what a kernel learns never enters a tile. The negative squared
    distance -|a - c|^2, for example, prepares [2a, -|a|^2, -1] and [c, 1, |c|^2].

    Attributes:
        bilinear: Whether similarity is that inner product; otherwise `compare` computes it, and autograd its gradient.
    """

    ROOM = "kernels"

    bilinear: bool = True

    @abstractmethod
    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Prepares both sides: (..., N, D), (..., M, D) -> (..., N, E), (..., M, E)."""

    def compare(self, a: Tensor, c: Tensor) -> Tensor:
        """Similarities of prepared sides: (..., n, E), (..., M, E) -> (..., n, M)."""
        return a @ c.mT

    def held(self, a: Tensor, c: Tensor) -> int:
        """Numbers held in memory per pair of rows; 1 for an inner product."""
        return 1

    def unit(self) -> float:
        """Similarity where the measured quantity is 1: 1 / temperature.

        The quantity is a cosine, an inner product or a negative squared distance; margins of miners are in its unit.
        """
        return 1.0

    def alike(self, z: Tensor) -> tuple[Tensor, Tensor] | None:
        """Rows for a symmetric comparison, if the kernel has one.

        Returns:
            (u, scale) with S = scale u_a . u_c on either side; None for an asymmetric kernel.
        """
        return None
