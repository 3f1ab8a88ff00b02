"""A learned bilinear form."""

import torch
from torch import Tensor, nn

from kontrast.losses.engine import input_checks
from kontrast.losses.kernel import Kernel


class Bilinear(Kernel):
    """S_ij = a_i^T W c_j / temperature: CPC (arXiv:1807.03748), CURL (arXiv:2004.04136), COLA (arXiv:2010.10915).

    W is (width, other) and starts as the identity, so as the bare inner product. For two spaces that share no axes;
    where one head ends in both, a bilinear form adds nothing a last linear layer could not learn.
    """

    def __init__(self, *, width: int = 128, other: int | None = None, temperature: float = 1.0) -> None:
        super().__init__()
        self.form = nn.Parameter(torch.eye(width, other or width))
        self.temperature = input_checks.temperature(temperature, "bilinear: temperature")

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """W moves the anchors over to the candidates' space."""
        return a @ self.form.to(a.dtype) / self.temperature, c

    def unit(self) -> float:
        """1 / temperature."""
        return 1 / self.temperature
