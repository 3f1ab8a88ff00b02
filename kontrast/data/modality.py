"""Contract of a modality: how a field is read, cached, batched, augmented and shown."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from kontrast.core.containers import Data
from kontrast.core.random_streams import Streams
from kontrast.data.export_entry import ExportEntry
from kontrast.data.masking import Masking
from kontrast.data.miniature import Miniature
from kontrast.data.packed_row import PackedRow
from kontrast.data.remark import Remark, Rows
from kontrast.data.schema.column import Claim, Column
from kontrast.data.store import Store
from kontrast.data.view import Role


class Modality(ABC):
    """Kind of data, on its way from the cells of a field to an encoder.

    cell -> `read` -> `pack` (cached, once) -> `collate` -> `preprocess` or `augment` -> encoder.

    `fit` learns from training cells what all rows share (size, vocabulary, scale); `state` and `restore` carry that to
    the run folder and back. A batch is one tensor that marks absence in band: images (B, C, H, W) uint8, texts (B, L)
    int64 with -1 after the end, series (B, C, T) float32 with NaN for gaps and after the end. So any batch can be
    sliced by row.
    """

    ROOM = "modalities"

    encoder: str
    """Encoder used if none is named."""
    encoder_settings: ClassVar[Mapping[str, Any]] = {}
    """Settings of that encoder; one that is named keeps its own defaults, which earlier runs rely on."""
    alone: ClassVar[str] = ""
    """Advice to a run that has one such field, no pairs and no named encoder; "" for none."""
    axes: ClassVar[str]
    """Axes of what the encoder sees, a letter each: B rows, C channels, H and W pixels, T time, L tokens, P points."""
    files: ClassVar[bool] = False
    """Whether strings in cells name files; if so, only files in the folder of the data are read."""
    typed: ClassVar[bool] = False
    """Whether cells are words, which can be typed, stored with the embeddings and compared as they are written."""
    draws: ClassVar[bool] = False
    """Whether `batch` draws what it reads, and so needs random streams."""
    all_flat: ClassVar[str] = ""
    """Message that refuses training if every row is flat (`is_flat`); "" trains all the same."""

    precedence: ClassVar[int] = 50
    """Place among modalities that claim the same column; the lowest gets it."""

    @classmethod
    @abstractmethod
    def recognise(cls, column: Column) -> Claim | None:
        """Says why a column looks like this modality.

        Args:
            column: Its name and some cells, of the rows that may be read.

        Returns:
            The reason, or None if it does not look like it.
        """

    @abstractmethod
    def read(self, cell: Any, folder: Path) -> Any:
        """Decodes one cell.

        Args:
            cell: Any cell that is not missing: a path, bytes, an array, a string.
            folder: Paths in cells are relative to it.

        Returns:
            The decoded row.

        Raises:
            Unreadable: with the reason; the row is quarantined.
        """

    @abstractmethod
    def fit(self, items: Sequence[Any]) -> None:
        """Learns what all rows share; settings given by the user stay.

        Args:
            items: What `read` returned for a sample of the training rows.
        """

    @abstractmethod
    def pack(self, item: Any) -> PackedRow:
        """Converts a decoded row to its cached form.

        Args:
            item: What `read` returned.

        Returns:
            An array whose dtype and trailing shape are the same for all rows; axis 0 may differ from row to row. Or
            several such arrays by name, the same names for all rows; its length is that of the first.
        """

    @abstractmethod
    def collate(self, packed: Sequence[Any]) -> Data:
        """Joins cached rows into a batch.

        Args:
            packed: What `pack` returned, per row.

        Returns:
            (B, ...) tensor, in the layout of the modality.
        """

    def batch(self, store: Store, index: np.ndarray, streams: Streams | None) -> Data:
        """Rows of a batch by number, as `collate` joins them.

        A modality whose rows need others (the neighbours of a node) draws these here.

        Args:
            store: Packed rows of the field.
            index: (B,) ints, rows that have the field.
            streams: Random streams of the rows, other ones in each epoch; `view_B` and `row_B` are equal, since views
                are drawn later. None when rows are embedded: what is drawn is then the same every time; and None if
                `draws` is False.
        """
        return self.collate(store.rows(index))

    @abstractmethod
    def preprocess(self, batch: Tensor) -> Tensor:
        """Encoder input without augmentation, for evaluation and embedding.

        Args:
            batch: What `collate` returned.

        Returns:
            (B, ...), where the result for a row does not depend on the other rows.
        """

    @abstractmethod
    def augment(
        self,
        batch: Tensor,
        key_B: Tensor,
        row_B: Tensor | None = None,
        role: Role = "global",
        step_B: Tensor | None = None,
    ) -> Tensor:
        """Encoder input for training, each row augmented by its own key.

        All rows are augmented at once, on the device of the batch. For several views of a row, the row is repeated with
        other keys. What the user switched off stays off in every role.

        Args:
            batch: What `collate` returned.
            key_B: (B,) int64, a stream of random numbers per view and row.
            row_B: (B,) int64, a stream per row that all its views and fields share, so that what it decides (a mirror
                image, say) leaves a pair a pair. None if there is none.
            role: What the view is for, in the units of the modality. "global": the augmentation that the settings
                describe. "local": a smaller part; its shape may be smaller. "weak": a light change. "strong": at least
                as strong as global. "context": what surrounds the part that is predicted. "original": `preprocess`.
            step_B: (B,) int64, a stream per step that all rows of a view share. None: the same in all steps.

        Returns:
            (B, ...), of the kind that `preprocess` returns.
        """

    def augments(self, role: Role) -> bool:
        """Whether `augment` may change rows in a role; if not, features of a frozen encoder are computed once."""
        return role != "original"

    @abstractmethod
    def raw(self, batch: Tensor) -> Tensor:
        """Features without any learning: the baseline beside every score.

        Args:
            batch: What `collate` returned.

        Returns:
            (B, R).
        """

    def likeness(self, batch: Tensor) -> Tensor:
        """Features by which near duplicates are found; by default the raw ones.

        Args:
            batch: What `collate` returned.

        Returns:
            (B, R) float.
        """
        return self.raw(batch)

    def windows(self, batch: Data) -> list[Data]:
        """Encoder inputs that together show whole rows when they are embedded; one by default.

        The embedding of a row is the mean over its windows. Whatever is longer than the encoder's input (a clip, say)
        is cut here.

        Args:
            batch: What `collate` returned.
        """
        return [self.preprocess(batch)]

    def is_flat(self, packed: Any) -> bool:
        """Whether a row does not vary in itself, such as a blank picture; never, by default.

        Args:
            packed: What `pack` returned.
        """
        return False

    @abstractmethod
    def dimensions(self, lengths: np.ndarray) -> str:
        """How large rows are, in words.

        Args:
            lengths: (n,) ints, lengths of packed rows on their first axis.
        """

    def remarks(self, rows: Rows) -> list[Remark]:
        """What a user should know of a sample of rows of this kind; nothing, by default.

        Args:
            rows: The sample.
        """
        return []

    def export_entry(self) -> ExportEntry | None:
        """Inputs of an exported graph, of the fitted modality; None if no graph can take such data."""
        return None

    @classmethod
    def masking(cls) -> Masking | None:
        """How masked prediction hides parts; None if such data cannot be masked."""
        return None

    @classmethod
    def miniature(cls) -> Miniature | None:
        """Small copies that reconstruction predicts; None if there are none."""
        return None

    @classmethod
    @abstractmethod
    def examples(cls, n: int) -> list[Any]:
        """n different plausible cells, for checks without data."""

    @abstractmethod
    def show(self, packed: Any) -> str:
        """Renders a cached row as self-contained HTML (a data URI, an SVG, escaped text).

        Args:
            packed: What `pack` returned.
        """

    @abstractmethod
    def look(self, view: Tensor) -> str:
        """Renders what the encoder saw of a row as HTML.

        Args:
            view: One row of what `preprocess` or `augment` returned.
        """

    @abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """Facts an encoder needs (channels, vocabulary), passed to its constructor parameters of that name."""

    def note(self) -> str:
        """Decision of `fit` that a user may want otherwise, for the first screen; or ""."""
        return ""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Returns what `fit` learned, as plain JSON values."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `fit` learned.

        Args:
            state: What `state` returned.
        """
