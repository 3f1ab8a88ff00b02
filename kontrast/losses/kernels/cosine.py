"""Cosine similarity divided by a temperature, which may be learned."""

import math

import torch
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.core.normalize import unit
from kontrast.losses.engine import input_checks
from kontrast.losses.kernel import Kernel


class Cosine(Kernel):
    """Cosine similarity divided by a temperature, which may be learned.

    The default of contrastive learning. Take `Dot` if the length of embeddings carries meaning, `Distance` for absolute
    distances.

    Args:
        temperature: Above 0. Default 0.1, as SimCLR on ImageNet and SupCon; 0.07 in MoCo v1 and CLIP, 0.5 in lightly's
            NT-Xent.
        learnable: Learn log(1 / temperature), as CLIP does. False by default.
        largest: Upper bound of a learned 1 / temperature; 100 as in CLIP.

    Shape:
        (..., N, D), (..., M, D) -> (..., N, M).

    Raises:
        UserError: `temperature` is not above 0, or is a tensor.
        ValueError: A learned 1 / temperature starts above `largest`.

    Equation:
        S_ij = cos(a_i, c_j) / temperature

    Reference:
        SimCLR arXiv:2002.05709; learned temperature: CLIP arXiv:2103.00020.

    Example:
        >>> a, c = Cosine(temperature=0.5)(2 * torch.eye(2), torch.eye(2))
        >>> (a @ c.T).round().tolist()
        [[2.0, 0.0], [0.0, 2.0]]
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
        """Unit rows of both sides, the anchors scaled."""
        return unit(a) * self._scale(), unit(c)

    def alike(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Unit rows, and 1 / temperature."""
        return unit(z), self._scale()

    def unit(self) -> float:
        """Current 1 / temperature."""
        return float(self.log_scale.detach().exp())

    def _scale(self) -> Tensor:
        if self.log_scale.requires_grad:
            with torch.no_grad():  # the parameter itself: a clamped copy would have no slope to come back by
                self.log_scale.clamp_(max=math.log(self.largest))
        return self.log_scale.exp()

    def set_temperature(self, temperature: float) -> None:
        """Sets the temperature, for a schedule between two steps.

        Args:
            temperature: Above 0.

        Raises:
            UserError: It is not above 0.
        """
        temperature = float(input_checks.temperature(temperature, "cosine: temperature"))
        with torch.no_grad():
            self.log_scale.fill_(-math.log(temperature))
