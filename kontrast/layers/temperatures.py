"""Temperatures per class, or per other integer key of a row, fixed or learned."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.normalize import unit


class Temperatures(nn.Module):
    """Divides each anchor by its class's temperature: S_ij = cos(a_i, c_j) / t[class of i].

    A kernel sees embeddings and no keys, so the temperature is applied to the anchors first; compare the result with
    the kernel `Dot`. Rare classes need a higher temperature than frequent ones (arXiv:2303.13664).

    Args:
        classes: Number of temperatures.
        key: Key of the rows that selects the temperature.
        temperature: Initial temperature of all classes, above 0.
        learnable: Learn the temperatures.
        largest: Upper bound of a learned 1 / temperature.
    """

    log_scale: Tensor

    def __init__(
        self,
        *,
        classes: int,
        key: str = "label",
        temperature: float = 0.1,
        learnable: bool = False,
        largest: float = 100,
    ) -> None:
        super().__init__()
        if not 0 < temperature < math.inf or classes < 1:
            raise UserError(f"temperatures: temperature={temperature}, classes={classes}; expected more than 0.")
        if learnable and not 1 / temperature <= largest:
            raise ValueError(f"temperatures: temperature={temperature}, learned; expected {1 / largest:.4g} or more.")
        self.key, self.largest = key, largest
        self.log_scale = nn.Parameter(torch.full((classes,), -math.log(temperature)), requires_grad=learnable)

    def forward(self, anchors: Embeddings, candidates: Embeddings) -> tuple[Embeddings, Embeddings]:
        """Both sides on the unit sphere, each anchor divided by its temperature.

        Raises:
            UserError: a class outside of the temperatures.
        """
        if self.log_scale.requires_grad:
            with torch.no_grad():  # in place: a clamped copy would have no gradient to bring it back
                self.log_scale.clamp_(max=math.log(self.largest))
        of = anchors.keys[self.key]
        if len(of) and not -1 <= int(of.min()) <= int(of.max()) < len(self.log_scale):
            found = f"'{self.key}' from {int(of.min())} to {int(of.max())} for {len(self.log_scale)} temperatures"
            raise UserError(f"{found}; expected 0 to {len(self.log_scale) - 1}, or -1 where it is unknown.")
        a = (
            unit(anchors.z) * self.log_scale.exp()[of.clamp_min(0)][..., None]
        )  # rows of unknown class have no positives
        return replace(anchors, z=a), replace(candidates, z=unit(candidates.z))
