"""Late interaction: sum over anchor vectors of the best cosine among candidate vectors."""

import torch
from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.core.normalize import unit
from kontrast.losses.kernel import Kernel


class MaxSim(Kernel):
    """Late interaction: sum over anchor vectors of the best cosine among candidate vectors.

    Take it for retrieval with one vector per token or patch (ColBERT); it is more exact and more expensive than
    `Cosine` of one vector. Rows are their vectors concatenated; the number of vectors may differ between sides. A
    vector of zeros is padding and ignored. Not symmetric.

    Args:
        width: Width of one vector; 128 as in ColBERT.
        temperature: Above 0; 1 as in ColBERT and sentence-transformers.

    Shape:
        (..., N, T width), (..., M, U width) -> (..., N, M).

    Raises:
        UserError: A setting outside its bounds, or rows whose width is no multiple of `width`.

    Equation:
        S_ij = sum_t max_u cos(a_it, c_ju) / temperature

    Reference:
        Khattab & Zaharia 2020, arXiv:2004.12832.

    Example:
        >>> kernel = MaxSim(width=2)
        >>> a, c = kernel(torch.tensor([[1.0, 0.0, 0.0, 1.0]]), torch.eye(2))  # two vectors against one
        >>> kernel.compare(a, c).tolist()
        [[1.0, 1.0]]
    """

    bilinear = False

    def __init__(self, *, width: int = 128, temperature: float = 1.0) -> None:
        super().__init__()
        if width < 1 or temperature <= 0:
            raise UserError(f"max_sim: width={width}, temperature={temperature}; expected at least 1, and above 0.")
        self.width, self.temperature = width, temperature

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors of both sides, the anchors' divided by the temperature."""
        return self._each(a).flatten(-2) / self.temperature, self._each(c).flatten(-2)

    def compare(self, a: Tensor, c: Tensor) -> Tensor:
        """(..., n, T width), (..., M, U width) -> (..., n, M); 0 for a candidate without vectors."""
        q, d = a.unflatten(-1, (-1, self.width)), c.unflatten(-1, (-1, self.width))
        there = (d != 0).any(-1)
        s = torch.einsum("...ntd,...mud->...ntmu", q, d)
        s = s.masked_fill(~there[..., None, None, :, :], -torch.inf).amax(-1)
        return s.masked_fill(~there.any(-1)[..., None, None, :], 0).sum(-2)

    def held(self, a: Tensor, c: Tensor) -> int:
        """Anchor vectors times candidate vectors."""
        return max(1, (a.shape[-1] // self.width) * (c.shape[-1] // self.width))

    def unit(self) -> float:
        """1 / temperature."""
        return 1 / self.temperature

    def _each(self, z: Tensor) -> Tensor:
        if z.shape[-1] % self.width:
            raise UserError(
                f"max_sim: rows of width {z.shape[-1]}; expected vectors of width {self.width} side by side."
            )
        return unit(z.unflatten(-1, (-1, self.width)))
