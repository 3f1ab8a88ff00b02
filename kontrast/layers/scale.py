"""Temperature of a loss, fixed or learned."""

import math

import torch
from torch import Tensor, nn

from kontrast.core.errors import UserError


class Scale(nn.Module):
    """Temperature of a loss, fixed or learned (as log of its inverse, like CLIP).

    Args:
        temperature: Above 0.
        learnable: Learn it (parameter `log_scale`).
        largest: Upper bound of the learned 1 / temperature.

    Raises:
        UserError: a learned temperature below 1 / largest.

    Reference:
        Radford et al. 2021, arXiv:2103.00020.
    """

    def __init__(self, temperature: float, *, learnable: bool = False, largest: float = 100.0) -> None:
        super().__init__()
        self.learnable, self.largest, self.fixed = learnable, largest, temperature
        if learnable:
            if not 0 < 1 / largest <= temperature:
                raise UserError(
                    f"temperature={temperature}, learned; expected {1 / largest:.4g} or more, the inverse of "
                    f"largest={largest}."
                )
            self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self) -> float | Tensor:
        """The temperature; a tensor with gradient if it is learned."""
        if not self.learnable:
            return self.fixed
        with torch.no_grad():  # in place: a clamped copy would have no gradient to bring it back
            self.log_scale.clamp_(max=math.log(self.largest))
        return (-self.log_scale).exp()

    def extra_repr(self) -> str:
        """The initial temperature, for `repr`."""
        return f"{self.fixed}" + ", learnable=True" * self.learnable
