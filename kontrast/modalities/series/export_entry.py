"""Time series: numbers over time, NaN for missing values."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from kontrast.data.export_entry import ExportEntry
from kontrast.data.modality import Modality


class SeriesEntry(ExportEntry):
    """Input `series`, (B, T, C) float32, with the run's length T; NaN marks gaps and padding."""

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        self.modality = modality
        state = modality.state()
        self.length, self.channels = state["length"], state["channels"]
        self.axes = {"series": ("batch", self.length, self.channels)}
        self.most: dict[str, int] = {}
        self.words = (
            f"float32, {self.channels} channels over {self.length} instants; NaN for a gap, and after the end of a "
            "shorter row; a longer row is averaged down to that length first"
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Normalises series, (B, T, C) to (B, K, T)."""
        return self.modality.preprocess(inputs[0].transpose(1, 2))

    def feed(self, packed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Pads packed series of shape (T, C) with NaN."""
        batch = np.full((len(packed), self.length, self.channels), np.nan, np.float32)
        for row, series in zip(batch, packed, strict=True):
            row[: len(series)] = series
        return {"series": batch}

    def made_up(self, rows: int) -> list[np.ndarray]:
        """Random walks, every second of half length."""
        walks = np.random.default_rng(0).normal(size=(rows, self.length, self.channels)).cumsum(1).astype(np.float32)
        return [walk[: self.length // (1 + i % 2)] for i, walk in enumerate(walks)]
