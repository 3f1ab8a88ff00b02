"""Images: square arrays of pixels, as a decoder gives them."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from kontrast.data.export_entry import ExportEntry
from kontrast.data.modality import Modality


class ImageEntry(ExportEntry):
    """Input `pixels`, (B, S, S, C) uint8, with the run's image size S.

    Resizing stays outside the graph, as `words` describes, because implementations round uint8 differently. Colours
    are normalised in the graph.
    """

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        self.modality, facts = modality, modality.facts()
        self.size, self.channels = size, channels = facts["size"], facts["channels"]
        self.axes = {"pixels": ("batch", size, size, channels)}
        self.most: dict[str, int] = {}
        colours = {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")
        self.words = (
            f"uint8 {colours}; the middle square of the picture (all of it, squeezed, where it is more than twice as "
            f"long as wide), resized to {size} x {size} by antialiased bilinear interpolation, as Pillow's BILINEAR"
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Normalises pixels, (B, S, S, C) uint8 to (B, C, S, S)."""
        return self.modality.preprocess(inputs[0].permute(0, 3, 1, 2))

    def feed(self, packed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Stacks packed images of shape (C, S, S)."""
        return {"pixels": np.ascontiguousarray(np.stack(packed).transpose(0, 2, 3, 1))}

    def made_up(self, rows: int) -> list[np.ndarray]:
        """Images of random noise."""
        shape = (rows, self.channels, self.size, self.size)
        return list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
