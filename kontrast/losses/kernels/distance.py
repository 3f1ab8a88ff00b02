"""The negative squared distance."""

import torch
from torch import Tensor

from kontrast.losses.engine import input_checks
from kontrast.losses.kernel import Kernel


class Distance(Kernel):
    """S_ij = -|a_i - c_j|^2 / temperature, of embeddings as they are: soft nearest neighbour (arXiv:1902.01889), SNE.

    On the sphere |a - c|^2 = 2 - 2 cos, and `Cosine` says the same with less rounding. Both sides are moved by the
    mean of the candidates first, which changes no distance and keeps |a|^2 from drowning a . c.
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = input_checks.temperature(temperature, "distance: temperature")

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """[2a, -|a|^2, -1] / temperature and [c, 1, |c|^2]."""
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
