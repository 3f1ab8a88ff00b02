"""The contract of a modality: how the cells of one field are read, kept, batched, augmented and shown. One file each in
`modalities/`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor


class Modality(ABC):
    """A field's cells on their way to an encoder.

    cell -> `read` -> `pack` (cached, once) -> `collate` -> `preprocess` or `augment` -> encoder.

    `fit` learns from training cells what the others share (size, vocabulary, scale); `state` carries that to the run
    folder and back.
    A batch is one tensor, absence marked in band: images (B, C, H, W) uint8, texts (B, L) int64 with -1 after the end,
    series (B, C, T) float32 with NaN for gaps and after the end. So any batch can be sliced by row.
    """

    ROOM = "modalities"

    encoder: str
    """The encoder that is taken where none is named."""
    files: ClassVar[bool] = False
    """Whether a string in a cell names a file to be read: then only files in the data's own folder are."""

    @abstractmethod
    def read(self, cell: Any, folder: Path) -> np.ndarray:
        """Decode one cell that is not missing: a path (relative to `folder`), bytes, an array, a string. Raises
        Unreadable with the reason."""

    @abstractmethod
    def fit(self, items: Sequence[np.ndarray]) -> None:
        """Learn from a sample of what `read` gave for training rows; settings given by the user stay."""

    @abstractmethod
    def pack(self, item: np.ndarray) -> np.ndarray:
        """What is cached of a row: one dtype and one trailing shape for all rows; axis 0 may differ from row to row."""

    @abstractmethod
    def collate(self, packed: Sequence[np.ndarray]) -> Tensor:
        """A batch from cached rows."""

    @abstractmethod
    def preprocess(self, batch: Tensor) -> Tensor:
        """What the encoder sees of unaugmented rows; the result for a row does not depend on the other rows."""

    @abstractmethod
    def augment(self, batch: Tensor, key_B: Tensor, row_B: Tensor | None = None) -> Tensor:
        """What the encoder sees in training: all rows at once, on the batch's device, each row's draws its own. Where a
        method asks for several views, the rows come so many times, with other keys.

        key_B: a stream of random numbers for each view of each row. row_B: one for each row, the same for all its
        views: what it decides happens to every field of a row alike, so that a pair stays a pair (a mirrored one, say).
        """

    @abstractmethod
    def raw(self, batch: Tensor) -> Tensor:
        """(B, R) features without any learning, the baseline that stands beside every score."""

    @abstractmethod
    def show(self, packed: np.ndarray) -> str:
        """A row as a small piece of HTML with everything in it (a data URI, an SVG, escaped text)."""

    @abstractmethod
    def look(self, view: Tensor) -> str:
        """One row of what `preprocess` or `augment` gave, as HTML: what the encoder saw."""

    @abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """What an encoder must know: channels, vocabulary, ... Passed to constructor parameters of the same name."""

    def note(self) -> str:
        """What `fit` decided that a user may want otherwise, for the first screen; "" for nothing."""
        return ""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What `fit` learned, as plain JSON values."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Back from `state`."""
