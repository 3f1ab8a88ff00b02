"""The angle between two rows taken for complex vectors."""

import torch
from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.core.normalize import unit
from kontrast.losses.engine import input_checks
from kontrast.losses.kernel import Kernel


class Angle(Kernel):
    """S_ij = (Re + Im) of sum(a_i conj(c_j)) / (|a_i| |c_j|) / temperature; the halves of a row are real and imaginary.

    Cosine plus sine: where the cosine is flat, the sine is not (AnglE, arXiv:2309.12871, which takes it without its
    sign; the loss `Angle`). Not symmetric. On rows without an imaginary half it is `Cosine`.
    """

    def __init__(self, *, temperature: float = 0.05) -> None:
        super().__init__()
        self.temperature = input_checks.temperature(temperature, "angle: temperature")

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """[Re a + Im a, Im a - Re a] / temperature and [Re c, Im c], of rows on the sphere."""
        if a.shape[-1] % 2:
            raise UserError(f"angle: embeddings of width {a.shape[-1]}; expected an even width, two halves.")
        real, imaginary = unit(a).chunk(2, -1)
        return torch.cat([real + imaginary, imaginary - real], -1) / self.temperature, unit(c)

    def unit(self) -> float:
        """1 / temperature."""
        return 1 / self.temperature
