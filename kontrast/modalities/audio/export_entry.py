"""Sounds as inputs of an exported graph: waveforms at the run's rate."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from kontrast.data.export_entry import ExportEntry
from kontrast.modalities.audio.waves import LOUDEST


class AudioEntry(ExportEntry):
    """Input `samples`, (B, T, C) float32 in -1..1 at the run's rate, of the length of one window; NaN after the end.

    Args:
        seen: Makes of waveforms (B, C, T) what the encoder sees.
        rate: Samples per second.
        channels: Channels.
        samples: T.
    """

    def __init__(self, seen: Callable[[Tensor], Tensor], *, rate: int, channels: int, samples: int) -> None:
        super().__init__()
        self.seen, self.samples, self.channels = seen, samples, channels
        self.axes = {"samples": ("batch", samples, channels)}
        self.most: dict[str, int] = {}
        self.words = (
            f"float32 in -1..1, {samples:,} samples at {rate:,} per second, {channels} channel(s); NaN after the end "
            "of a shorter sound; of a longer one the middle, or the mean of the embeddings of several such windows"
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Spectrograms of waveforms, (B, T, C) to (B, C, M, F)."""
        return self.seen(inputs[0].transpose(1, 2))

    def feed(self, packed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """The middle of packed sounds of shape (T, C), padded with NaN."""
        batch = np.full((len(packed), self.samples, self.channels), np.nan, np.float32)
        for row, sound in zip(batch, packed, strict=True):
            start = max(0, len(sound) - self.samples) // 2
            part = sound[start : start + self.samples]
            row[: len(part)] = part / np.float32(LOUDEST)
        return {"samples": batch}

    def made_up(self, rows: int) -> list[np.ndarray]:
        """Noise, every second of half length."""
        noise = np.random.default_rng(0).integers(-9000, 9000, (rows, self.samples, self.channels), dtype=np.int16)
        return [sound[: self.samples // (1 + i % 2)] for i, sound in enumerate(noise)]
