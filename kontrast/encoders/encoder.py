"""Contract of an encoder: a batch of views becomes features, one vector per row and one per position."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from kontrast.encoders.features import Features


class Encoder(nn.Module, ABC):
    """Network from views to features; derive from it to add an architecture.

    Constructor parameters are settings, except those named like a fact of the modality (channels, vocabulary), which
    the data fills. In eval mode the features of a row do not depend on its batch.
    """

    ROOM = "encoders"

    width: int
    """Number of pooled features."""

    dense_width: int | None = None
    """Number of features per position; None if it has no dense features."""

    stride: int = 1
    """Instants of a series per dense vector: that of instant t is dense[t // stride]."""

    causal: bool = False
    """Whether the dense vector of an instant of a series depends on nothing after the instants that it merges."""

    gives_dense: bool = True
    """Whether `forward` gives dense features; off if nothing takes them, since some encoders pay for them."""

    pace: float = 1.0
    """Share of the plan's learning rate that suits it; small for pretrained weights."""

    recomputes: bool = False
    """Whether activations inside its blocks are recomputed for the gradient (`recompute`)."""

    @abstractmethod
    def forward(self, x: Tensor) -> Features:
        """Computes features.

        Args:
            x: (B, ...), what `Modality.preprocess` or `augment` returned.

        Returns:
            Pooled (B, width); dense (B, P, dense_width) with its mask, if `dense_width` is set and `gives_dense` is on.
        """

    def until(self, x: Tensor, ends_B: Tensor) -> Features | None:
        """Computes features of series whose ends are given, so that the last instants of a row may be missing.

        `forward` takes the last known instant for the end of a row, so it cannot tell a hidden last instant from a
        shorter row.

        Args:
            x: (B, C, T), NaN for gaps and after the end of a row.
            ends_B: (B,) number of instants of each row, 1 to T.

        Returns:
            As `forward`; None if it cannot.
        """
        return None

    def recompute(self) -> bool:
        """Switches to activation checkpointing, if this encoder supports it.

        Then only what enters each block is kept, and the rest is recomputed for the gradient.

        Returns:
            Whether it does so. Not if nothing learns, nor if a block holds a batch norm, which would count batches
            twice.
        """
        return False

    def traced(self, x: Tensor) -> Tensor:
        """Computes the pooled features, with shapes that follow from that of x (for ONNX)."""
        return self.forward(x).pooled

    @classmethod
    def wants(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings that this encoder asks of its modality: an image size, a tokenizer.

        Args:
            settings: Of this encoder.

        Returns:
            Setting of the modality -> value.
        """
        return {}

    def keep(self, folder: Path) -> None:
        """Saves what building this encoder again needs besides its settings and weights.

        Args:
            folder: A folder of the run.
        """
        return

    @classmethod
    def kept(cls, folder: Path) -> dict[str, Any]:
        """Settings that replace the user's when a run is loaded.

        A run then needs nothing outside itself: it embeds without the pretrained model that it began from.

        Args:
            folder: What `keep` wrote to.

        Returns:
            Setting -> value.
        """
        return {}
