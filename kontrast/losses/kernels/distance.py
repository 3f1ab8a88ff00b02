"""Negative squared Euclidean distance divided by a temperature."""

import torch
from torch import Tensor

from kontrast.losses.engine import input_checks
from kontrast.losses.kernel import Kernel


class Distance(Kernel):
    """Negative squared Euclidean distance divided by a temperature.

    Take it for embeddings whose length carries meaning: soft nearest neighbour, Rank-N-Contrast. On the unit sphere |a
    - c|^2 = 2 - 2 cos, and `Cosine` computes it with less rounding. Both sides are first moved by the mean of the
    candidates, which changes no distance and keeps |a|^2 from drowning a . c.

    Args:
        temperature: Above 0; 1 as in soft nearest neighbour.

    Shape:
        (..., N, D), (..., M, D) -> (..., N, M).

    Raises:
        UserError: `temperature` is not above 0.

    Equation:
        S_ij = -|a_i - c_j|^2 / temperature

    Reference:
        Frosst et al. 2019, arXiv:1902.01889.

    Example:
        >>> a, c = Distance()(torch.eye(2), torch.eye(2))
        >>> (a @ c.T).tolist()
        [[0.0, -2.0], [-2.0, 0.0]]
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = input_checks.temperature(temperature, "distance: temperature")

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """[2a, -|a|^2, -1] / temperature and [c, 1, |c|^2], about the candidates' mean."""
        centre = c.detach().mean(-2, keepdim=True)
        a, c = a - centre, c - centre
        aa, cc = a.square().sum(-1, keepdim=True), c.square().sum(-1, keepdim=True)
        return (
            torch.cat([2 * a, -aa, -torch.ones_like(aa)], -1) / self.temperature,
            torch.cat([c, torch.ones_like(cc), cc], -1),
        )

    def unit(self) -> float:
        """1 / temperature."""
        return 1 / self.temperature
