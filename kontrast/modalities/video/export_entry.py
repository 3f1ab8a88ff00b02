"""Videos as inputs of an exported graph: the frames of one clip."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from kontrast.data.export_entry import ExportEntry


class VideoEntry(ExportEntry):
    """Input `frames`, (B, T, S, S, C) uint8: the middle clip of a video at the run's size S.

    Colours are normalised in the graph; resizing stays outside, as `words` describes.

    Args:
        seen: Makes of clips (B, T, C, S, S) uint8 what the encoder sees.
        middle: Cuts the middle clip of packed videos (L, C, S, S): (B, T, C, S, S).
        frames: T.
        stride: Frames of the video from one frame of the clip to the next.
        size: S.
        channels: C.
    """

    def __init__(
        self,
        seen: Callable[[Tensor], Tensor],
        middle: Callable[[Sequence[np.ndarray]], np.ndarray],
        *,
        frames: int,
        stride: int,
        size: int,
        channels: int,
    ) -> None:
        super().__init__()
        self.seen, self.middle = seen, middle
        self.frames, self.stride, self.size, self.channels = frames, stride, size, channels
        self.axes = {"frames": ("batch", frames, size, size, channels)}
        self.most: dict[str, int] = {}
        colours = {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")
        self.words = (
            f"uint8 {colours}; {frames} frames, each {stride} after the one before, from the middle of the video (of a "
            "shorter one evenly spaced, some repeated), or the mean of the embeddings of several such clips; of each "
            "frame the middle square (all of it, squeezed, where it is more than twice as long as wide), resized to "
            f"{size} x {size} by antialiased bilinear interpolation, as Pillow's BILINEAR"
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Normalises pixels, (B, T, S, S, C) uint8 to (B, T, C, S, S)."""
        return self.seen(inputs[0].permute(0, 1, 4, 2, 3))

    def feed(self, packed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """The middle clips of packed videos of shape (L, C, S, S)."""
        return {"frames": np.ascontiguousarray(self.middle(packed).transpose(0, 1, 3, 4, 2))}

    def made_up(self, rows: int) -> list[np.ndarray]:
        """Videos of random noise, every second half as long."""
        rng, shape = np.random.default_rng(0), (self.channels, self.size, self.size)
        spans = [max(1, self.frames * self.stride // (1 + row % 2)) for row in range(rows)]
        return [rng.integers(0, 256, (span, *shape), dtype=np.uint8) for span in spans]
