"""Cosine plus sine of rows read as complex vectors, divided by a temperature."""

import torch
from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.core.normalize import unit
from kontrast.losses.engine import input_checks
from kontrast.losses.kernel import Kernel


class Angle(Kernel):
    """Cosine plus sine of rows read as complex vectors, divided by a temperature.

    Take it where the cosine saturates, near 0 and 180 degrees, and the sine does not; the loss `AnglE` uses its
    absolute value. Not symmetric. On rows without an imaginary half it equals `Cosine`. For most uses `Cosine`
    suffices.

    Args:
        temperature: Above 0; 0.05 as in AnglE (scale 20).

    Shape:
        (..., N, D), (..., M, D), D even -> (..., N, M).

    Raises:
        UserError: `temperature` is not above 0, or D is odd.

    Equation:
        S_ij = (Re + Im) of sum(a_i conj(c_j)) / (|a_i| |c_j|) / temperature; the halves of a row are real and imaginary
        parts.

    Reference:
        Li & Li 2023, arXiv:2309.12871.

    Example:
        >>> a, c = Angle(temperature=1.0)(torch.eye(2), torch.eye(2))
        >>> (a @ c.T).tolist()  # 1 and i: at a quarter turn the sine is 1 or -1
        [[1.0, -1.0], [1.0, 1.0]]
    """

    def __init__(self, *, temperature: float = 0.05) -> None:
        super().__init__()
        self.temperature = input_checks.temperature(temperature, "angle: temperature")

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """[Re a + Im a, Im a - Re a] / temperature and [Re c, Im c], of unit rows."""
        if a.shape[-1] % 2:
            raise UserError(f"angle: embeddings of width {a.shape[-1]}; expected an even width, two halves.")
        real, imaginary = unit(a).chunk(2, -1)
        return torch.cat([real + imaginary, imaginary - real], -1) / self.temperature, unit(c)

    def unit(self) -> float:
        """1 / temperature."""
        return 1 / self.temperature
