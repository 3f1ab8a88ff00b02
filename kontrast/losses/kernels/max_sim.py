"""Late interaction: rows of several vectors, each of the anchor's finds its best among the candidate's."""

import torch
from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.core.normalize import unit
from kontrast.losses.kernel import Kernel


class MaxSim(Kernel):
    """S_ij = sum_t max_u cos(a_it, c_ju) / temperature, t the vectors of the anchor, u those of the candidate.

    ColBERT (Khattab & Zaharia 2020, arXiv:2004.12832): a text is one vector per token, a picture one per patch. Rows
    are (N, vectors x width), their vectors one after the other; how many there are may differ from side to side. A
    vector of zeros is absent: it asks nothing and answers nothing. Not symmetric. `width` is that of one vector.
    """

    bilinear = False

    def __init__(self, *, width: int = 128, temperature: float = 1.0) -> None:
        super().__init__()
        if width < 1 or temperature <= 0:
            raise UserError(f"max_sim: width={width}, temperature={temperature}; expected at least 1, and above 0.")
        self.width, self.temperature = width, temperature

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Each vector on the sphere, the anchors' over the temperature."""
        return self._each(a).flatten(-2) / self.temperature, self._each(c).flatten(-2)

    def compare(self, a: Tensor, c: Tensor) -> Tensor:
        """(..., n, T width), (..., M, U width) -> (..., n, M); a row without any vector is similar to none."""
        q, d = a.unflatten(-1, (-1, self.width)), c.unflatten(-1, (-1, self.width))
        there = (d != 0).any(-1)
        s = torch.einsum("...ntd,...mud->...ntmu", q, d)
        s = s.masked_fill(~there[..., None, None, :, :], -torch.inf).amax(-1)
        return s.masked_fill(~there.any(-1)[..., None, None, :], 0).sum(-2)

    def held(self, a: Tensor, c: Tensor) -> int:
        """Vectors of the anchor times vectors of the candidate."""
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
