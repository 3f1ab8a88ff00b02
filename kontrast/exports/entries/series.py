"""Time series: numbers over time, NaN where there are none."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from kontrast.data.modality import Modality
from kontrast.exports.entry import Entry


class Series(Entry):
    """series (B, T, C) float32 of the run's longest length T, NaN for gaps and after the end."""

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
        """(B, T, C) -> (B, K, T) normalised."""
        return self.modality.preprocess(inputs[0].transpose(1, 2))

    def feed(self, packed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """(T, C) each."""
        batch = np.full((len(packed), self.length, self.channels), np.nan, np.float32)
        for row, series in zip(batch, packed, strict=True):
            row[: len(series)] = series
        return {"series": batch}

    def made_up(self, rows: int) -> list[np.ndarray]:
        """Random walks, every other one short."""
        walks = np.random.default_rng(0).normal(size=(rows, self.length, self.channels)).cumsum(1).astype(np.float32)
        return [walk[: self.length // (1 + i % 2)] for i, walk in enumerate(walks)]
