"""The contract of an encoder: a batch of views becomes one feature vector a row."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """`forward`: what `Modality.preprocess` or `augment` gave -> (B, width). In eval mode a row's features do not
    depend on its batch.

    Constructor parameters are settings, but for those named like a fact of the modality (channels, vocabulary), which
    the data fills.
    """

    ROOM = "encoders"

    width: int
    """Of its features."""

    pace: ClassVar[float] = 1.0
    """The share of the plan's learning rate that suits it: pretrained weights, say, are moved with care."""

    recomputes: bool = False
    """Whether the insides of its blocks are computed again for the gradient, instead of being kept (`recompute`)."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, width)."""

    def recompute(self) -> bool:
        """From now on keep for the gradient only what enters its blocks; the rest is computed again when it is needed.

        Returns:
            Whether it does: not where nothing learns, and not where a block holds a batch norm, which would count every
            batch twice.
        """
        return False

    def traced(self, x: Tensor) -> Tensor:
        """`forward` for one who records it as a graph (ONNX): the same numbers, by operations whose shapes follow from
        that of x alone."""
        return self.forward(x)

    @classmethod
    def wants(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings that this encoder, with these settings, asks of its modality: an image size, a tokenizer."""
        return {}

    def keep(self, folder: Path) -> None:
        """Write into a folder of the run what building this encoder again needs besides its settings and weights."""
        return

    @classmethod
    def kept(cls, folder: Path) -> dict[str, Any]:
        """The settings that take the place of the user's where it is built again from what `keep` wrote.

        A run is then whole in itself: it embeds where the pretrained model it began from is not at hand.
        """
        return {}
