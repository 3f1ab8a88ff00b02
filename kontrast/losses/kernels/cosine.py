"""Cosine similarity over a temperature."""

import math

import torch
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.core.normalize import unit
from kontrast.losses.engine import input_checks
from kontrast.losses.kernel import Kernel


class Cosine(Kernel):
    """S_ij = cos(a_i, c_j) / temperature.

    `learnable` learns the scale 1/temperature in log space, held at no more than `largest` as CLIP does
    (arXiv:2103.00020).
    """

    def __init__(self, *, temperature: float = 0.1, learnable: bool = False, largest: float = 100.0) -> None:
        super().__init__()
        if isinstance(temperature, Tensor):
            raise UserError("cosine: temperature is a tensor; expected a number, which learnable=True learns.")
        temperature = input_checks.temperature(temperature, "cosine: temperature")
        if learnable and not 1 / temperature <= largest:
            raise ValueError(f"temperature={temperature}, learned; expected 1 / largest={1 / largest:.4g} or more.")
        self.log_scale = nn.Parameter(torch.tensor(1 / temperature).log(), requires_grad=learnable)
        self.largest = largest

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides on the sphere, the anchors scaled."""
        return unit(a) * self._scale(), unit(c)

    def alike(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """On the sphere, and 1 / temperature."""
        return unit(z), self._scale()

    def unit(self) -> float:
        """1 / temperature, as it stands."""
        return float(self.log_scale.detach().exp())

    def _scale(self) -> Tensor:
        if self.log_scale.requires_grad:
            with torch.no_grad():  # the parameter itself: a clamped copy would have no slope to come back by
                self.log_scale.clamp_(max=math.log(self.largest))
        return self.log_scale.exp()

    def set_temperature(self, temperature: float) -> None:
        """From now on this temperature: for a schedule, between two steps (`losses.temperature.swing`)."""
        temperature = float(input_checks.temperature(temperature, "cosine: temperature"))
        with torch.no_grad():
            self.log_scale.fill_(-math.log(temperature))
