"""What a graph's nodes or edges carry, as numbers: one-hot labels and numbers in standard units.

Axis letters: N nodes (or edges), K known labels, P numbers.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.core.errors import Unreadable

_MOST_LABELS = 256  # rarer ones count as unknown


@dataclass(frozen=True)
class Kinds:
    """Labels and numbers of nodes, or of edges.

    Attributes:
        labels: The known ones.
        mean: Of each number.
        scale: Standard deviation of each number; 1 where it is constant.
    """

    labels: list[str]
    mean: list[float]
    scale: list[float]

    @classmethod
    def fitted(cls, labels: Sequence[Sequence[str] | None], numbers: Sequence[np.ndarray]) -> "Kinds":
        """Learns labels and scales from those of several graphs."""
        counts = Counter(label for some in labels if some is not None for label in some)
        known = sorted(label for label, _ in counts.most_common(_MOST_LABELS))
        widths = Counter(array.shape[1] for array in numbers if len(array))
        width = widths.most_common(1)[0][0] if widths else 0
        rows = [array for array in numbers if array.shape[1] == width]
        every = np.concatenate(rows) if rows else np.zeros((0, width))
        if not width or not len(every):
            return cls(known, [], [])
        with np.errstate(invalid="ignore"):
            mean, scale = np.nan_to_num(np.nanmean(every, 0)), np.nan_to_num(np.nanstd(every, 0))
        return cls(known, mean.tolist(), np.where(scale > 1e-12, scale, 1.0).tolist())

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.labels) + len(self.mean)

    def pack(self, labels: Sequence[str] | None, numbers: np.ndarray, what: str) -> np.ndarray:
        """(N, 1 + P) float32: the number of the label, -1 if unknown, and the numbers in standard units.

        Raises:
            Unreadable: other numbers than the training rows have.
        """
        P = len(self.mean)
        if numbers.shape[1] != P and len(numbers):
            raise Unreadable(f"has {numbers.shape[1]} features per {what}; expected {P}, as the training rows have")
        place = {label: k for k, label in enumerate(self.labels)}
        out = np.full((len(numbers), 1 + P), -1, np.float32)
        if labels is not None:
            out[:, 0] = [place.get(label, -1) for label in labels]
        if P and len(numbers):
            out[:, 1:] = np.nan_to_num((numbers - self.mean) / self.scale, posinf=0, neginf=0).astype(np.float32)
        return out

    def expand(self, packed: Tensor) -> Tensor:
        """(N, K + P) one-hot labels, all zero if unknown, and numbers."""
        codes = packed[:, :1].long()
        known = torch.arange(len(self.labels), device=packed.device)
        return torch.cat(((codes == known).to(packed.dtype), packed[:, 1:]), 1)

    def state(self) -> dict[str, Any]:
        """Returns what was learned, as plain values."""
        return {"labels": self.labels, "mean": self.mean, "scale": self.scale}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Kinds":
        """Restores what `state` returned."""
        return cls(list(state["labels"]), list(state["mean"]), list(state["scale"]))
