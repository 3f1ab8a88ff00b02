"""Encoders of a model, and which of them reads which field."""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from kontrast.encoders.encoder import Encoder


class Towers(nn.Module):
    """Encoders by tower, and the tower of each field; image fields usually share one.

    Args:
        encoders: Encoder of each tower.
        tower_of: Tower of each field.
    """

    def __init__(self, encoders: Mapping[str, Encoder], tower_of: Mapping[str, str]) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.tower_of = dict(tower_of)
        for encoder in encoders.values():
            encoder.gives_dense = False

    def encoder(self, field: str) -> Encoder:
        """The encoder that reads a field."""
        return cast(Encoder, self.encoders[self.tower_of[field]])

    def recompute(self) -> list[str]:
        """Turns on `Encoder.recompute` where possible; returns the towers that do it."""
        return [tower for tower, encoder in self.encoders.items() if cast(Encoder, encoder).recompute()]

    def training_where_recomputed(self) -> None:
        """Sets training mode for encoders that recompute, since some do so only in that mode."""
        for encoder in self.encoders.values():
            encoder.train(encoder.training or cast(Encoder, encoder).recomputes)

    def width(self, field: str) -> int:
        """Width of a field's features."""
        return self.encoder(field).width

    def forward(self, field: str, x: Tensor) -> Tensor:
        """Pooled features (B, width) of a batch of one field's views."""
        return self.encoder(field)(x).pooled
