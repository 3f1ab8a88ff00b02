"""The contract of an export entry: raw inputs of an exported graph and their preprocessing."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn


class ExportEntry(nn.Module, ABC):
    """Input stage of an exported graph; everything in `forward` becomes part of the graph.

    `Modality.export_entry` makes it of the fitted modality.
    """

    axes: Mapping[str, tuple[str | int, ...]]
    """Axes of each input: a size, or the name of an axis of free size. The first axis is the batch."""

    most: Mapping[str, int]
    """Largest size of each free axis that has a limit."""

    words: str
    """Explains to users of the graph how a row becomes its inputs."""

    @abstractmethod
    def forward(self, *inputs: Tensor) -> Tensor:
        """Preprocesses the inputs, in the order of `axes`, as `Modality.preprocess` does."""

    @abstractmethod
    def feed(self, packed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Converts rows packed by the modality to inputs by name."""

    @abstractmethod
    def made_up(self, rows: int) -> list[np.ndarray]:
        """Random packed rows, to record the graph and to check it without real rows."""

    def beside(self, folder: Path) -> dict[str, Any]:
        """Writes further files that users of the graph need; returns entries for metadata.json."""
        return {}
