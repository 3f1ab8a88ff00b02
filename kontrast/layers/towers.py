"""Towers: which encoder reads which field. Fields of one modality share a tower unless told otherwise."""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from kontrast.encoders.encoder import Encoder


class Towers(nn.Module):
    """encoders: tower -> encoder. tower_of: field -> tower; two image fields of a row usually share one."""

    def __init__(self, encoders: Mapping[str, Encoder], tower_of: Mapping[str, str]) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.tower_of = dict(tower_of)

    def encoder(self, field: str) -> Encoder:
        """The encoder that reads a field."""
        return cast(Encoder, self.encoders[self.tower_of[field]])

    def recompute(self) -> list[str]:
        """Turn `Encoder.recompute` on; the towers whose encoders do."""
        return [tower for tower, encoder in self.encoders.items() if cast(Encoder, encoder).recompute()]

    def training_where_recomputed(self) -> None:
        """Training mode for the encoders that recompute: some of them do so in that mode alone."""
        for encoder in self.encoders.values():
            encoder.train(encoder.training or cast(Encoder, encoder).recomputes)

    def width(self, field: str) -> int:
        """The width of a field's features."""
        return self.encoder(field).width

    def forward(self, field: str, x: Tensor) -> Tensor:
        """A batch of one field's views -> (B, width) features."""
        return self.encoder(field)(x)
