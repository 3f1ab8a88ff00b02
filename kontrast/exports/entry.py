"""The contract of an entry: the tensors that a graph takes of one field, and how they become what its encoder sees. One
modality a file, in `entries/`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn


class Entry(nn.Module, ABC):
    """Built with the fitted `modality`; the file bears its name. Everything in `forward` goes into the graph."""

    ROOM = "entries"

    axes: Mapping[str, tuple[str | int, ...]]
    """input -> its axes: a number, or the name of one whose size is free. The first is the batch."""

    most: Mapping[str, int]
    """How large a free axis may be, where there is a limit."""

    words: str
    """How a row becomes these inputs, for whoever feeds them."""

    @abstractmethod
    def forward(self, *inputs: Tensor) -> Tensor:
        """The inputs, in the order of `axes` -> what `Modality.preprocess` gives."""

    @abstractmethod
    def feed(self, packed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Rows as the modality packs them -> the inputs."""

    @abstractmethod
    def made_up(self, rows: int) -> list[np.ndarray]:
        """Packed rows of random content: to record the graph, and to check it where no others are."""

    def beside(self, folder: Path) -> dict[str, Any]:
        """Writes what a user of the graph needs besides it; returns its name for metadata.json."""
        return {}
