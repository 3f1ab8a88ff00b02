"""States in one line how the kernel measures similarity."""

from typing import Annotated

from torch import Tensor
from torch.nn import functional as F

from kontrast.core.factory import Range
from kontrast.losses.kernel import Kernel


class Template(Kernel):
    """Cosine over the temperature.

    Say here when to take it, and which kernel to take instead otherwise.

    Args:
        temperature: Divides the cosine, above 0. Say where the default comes from.

    Equation:
        S_ij = a_i . c_j / (|a_i| |c_j| temperature)

    Reference:
        Author et al. YEAR, arXiv:NUMBER.

    Example:
        >>> import torch
        >>> left, right = Template(temperature=0.5)(torch.eye(2), 3 * torch.eye(2))
        >>> (left @ right.T).tolist()
        [[2.0, 0.0], [0.0, 2.0]]
    """

    def __init__(self, *, temperature: Annotated[float, Range(1e-6)] = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Anchors (..., N, D) and candidates (..., M, D) -> two sides whose inner product is the similarity."""
        return F.normalize(a, dim=-1) / self.temperature, F.normalize(c, dim=-1)

    def unit(self) -> float:
        """The similarity at a cosine of 1."""
        return 1 / self.temperature
