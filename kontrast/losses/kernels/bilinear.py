"""Learned bilinear form between two embedding spaces."""

import torch
from torch import Tensor, nn

from kontrast.losses.engine import input_checks
from kontrast.losses.kernel import Kernel


class Bilinear(Kernel):
    """Learned bilinear form between two embedding spaces.

    Take it for two spaces without common axes (a context and a future frame, CPC; a query and a momentum key, CURL). If
    one head ends in both spaces it adds nothing that a last linear layer could not learn; take `Dot` or `Cosine`.

    Args:
        width: Width of anchors; 128 by default.
        other: Width of candidates; None for `width`.
        temperature: Above 0; 1 as in the papers.

    Shape:
        (..., N, width), (..., M, other) -> (..., N, M).

    Raises:
        UserError: `temperature` is not above 0.

    Equation:
        S_ij = a_i^T W c_j / temperature; W (width, other) starts as the identity.

    Reference:
        CPC arXiv:1807.03748; CURL arXiv:2004.04136; COLA arXiv:2010.10915.

    Example:
        >>> a, c = Bilinear(width=2)(torch.eye(2), torch.eye(2))
        >>> (a @ c.T).tolist()  # at first the inner product
        [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, *, width: int = 128, other: int | None = None, temperature: float = 1.0) -> None:
        super().__init__()
        self.form = nn.Parameter(torch.eye(width, other or width))
        self.temperature = input_checks.temperature(temperature, "bilinear: temperature")

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Anchors mapped to the candidates' space by W, and candidates."""
        return a @ self.form.to(a.dtype) / self.temperature, c

    def unit(self) -> float:
        """1 / temperature."""
        return 1 / self.temperature
