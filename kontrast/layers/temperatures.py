"""Temperatures: one a class (or any other number of a row), learned or set."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.normalize import unit


class Temperatures(nn.Module):
    """Cosine over the temperature of the anchor's class: S_ij = cos(a_i, c_j) / t[class of i].

    A kernel sees embeddings and no key, so the temperature is folded into the anchors before: what comes out is
    compared by the kernel `Dot`. `learnable` as in the kernel `Cosine`. Rare classes want a higher one than frequent
    ones (arXiv:2303.13664).
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
        """Both sides on the sphere, each anchor over its temperature."""
        if self.log_scale.requires_grad:
            with torch.no_grad():  # the parameter itself: a clamped copy would have no slope to come back by
                self.log_scale.clamp_(max=math.log(self.largest))
        of = anchors.keys[self.key]
        if len(of) and not -1 <= int(of.min()) <= int(of.max()) < len(self.log_scale):
            found = f"'{self.key}' from {int(of.min())} to {int(of.max())} for {len(self.log_scale)} temperatures"
            raise UserError(f"{found}; expected 0 to {len(self.log_scale) - 1}, or -1 where it is unknown.")
        a = unit(anchors.z) * self.log_scale.exp()[of.clamp_min(0)][..., None]  # the unknown attract nobody
        return replace(anchors, z=a), replace(candidates, z=unit(candidates.z))
