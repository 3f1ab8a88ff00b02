"""The contract of a kernel: how similar two rows are."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Kernel(nn.Module, ABC):
    """Prepares both sides once so that similarity is an inner product: S = forward(a, c)[0] @ forward(a, c)[1].T.

    So what a kernel learns never enters a tile. The negative squared distance -|a - c|^2, say, prepares [2a, -|a|^2,
    -1] and [c, 1, |c|^2].
    """

    ROOM = "kernels"

    bilinear: bool = True
    """Whether similarity is the inner product of both sides; else `compare` says it, and autograd its slope."""

    @abstractmethod
    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """(..., N, D), (..., M, D) -> (..., N, E), (..., M, E)."""

    def compare(self, a: Tensor, c: Tensor) -> Tensor:
        """(..., n, E), (..., M, E) -> (..., n, M): the similarities of prepared sides."""
        return a @ c.mT

    def held(self, a: Tensor, c: Tensor) -> int:
        """How many numbers it holds for one pair of rows."""
        return 1

    def unit(self) -> float:
        """The similarity where what the kernel measures (a cosine, an inner product, a negative squared distance) is 1:
        1 / temperature. Margins of miners are in it."""
        return 1.0

    def alike(self, z: Tensor) -> tuple[Tensor, Tensor] | None:
        """(u, scale) of rows on either side, where S = scale u_a . u_c; None for a kernel that is not like that."""
        return None
