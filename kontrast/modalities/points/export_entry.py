"""Point clouds as inputs of an exported graph."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from kontrast.data.export_entry import ExportEntry


class PointsEntry(ExportEntry):
    """Input `points`, (B, P, C) float32: as many points as a view has, coordinates first.

    Args:
        normalise: Makes of points (B, C, P) what the encoder sees.
        points: P.
        channels: C.
        words: What a point is made of.
    """

    def __init__(self, normalise: Callable[[Tensor], Tensor], *, points: int, channels: int, words: str) -> None:
        super().__init__()
        self.normalise, self.points, self.channels = normalise, points, channels
        self.axes = {"points": ("batch", points, channels)}
        self.most: dict[str, int] = {}
        self.words = (
            f"float32, {points:,} points of {words}, in any unit; of a larger cloud a random choice, of a smaller one "
            "some points repeated; colours from -1 to 1"
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Normalised points, (B, P, C) to (B, C, P)."""
        return self.normalise(inputs[0].transpose(1, 2))

    def feed(self, packed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """The first points of packed clouds (N, C), which are in random order."""
        return {"points": np.stack([cloud[np.arange(self.points) % len(cloud)] for cloud in packed])}

    def made_up(self, rows: int) -> list[np.ndarray]:
        """Random clouds, every second with half the points."""
        clouds = np.random.default_rng(0).normal(size=(rows, self.points, self.channels)).astype(np.float32)
        return [cloud[: max(1, self.points // (1 + i % 2))] for i, cloud in enumerate(clouds)]
