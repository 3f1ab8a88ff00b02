"""Rows with close values of a continuous target attract, the closer the more."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys, exact
from kontrast.losses.engine import input_checks
from kontrast.losses.relation import Pairs, Relation, nobody

Shape = Literal["gaussian", "inverse", "order"]


@dataclass(frozen=True)
class TargetSimilarity(Relation):
    """A real key (an age, a dose): attract = exp(-(y_i - y_j)^2 / (2 width^2)), or 1 / (1 + |y_i - y_j| / width).

    "gaussian" is the kernel of y-aware InfoNCE (arXiv:2106.08808); "inverse" never vanishes, so it keeps the order of
    all distances down to rounding. "order" is some number that falls with |y_i - y_j|, another for any two distances
    that differ in float64, however skewed the target: for what reads their order alone (Rank-N-Contrast, the loss
    `Rnc`). `width` is in the unit of the
    target. A target of NaN is unknown and attracts nobody.
    """

    key: str
    width: float = 1.0
    shape: Shape = "gaussian"

    def __post_init__(self) -> None:
        input_checks.choice(self.shape, "close: shape", get_args(Shape))
        if not self.width > 0:
            raise ValueError(f"close: width={self.width}; expected more than 0, in the unit of the key '{self.key}'.")

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """By distance; everyone counts."""
        if self.shape == "order":
            near = _turned((exact(a[self.key]) - exact(c[self.key])).abs())
        else:
            far = (a[self.key] - c[self.key]).abs() / self.width
            near = (-0.5 * far * far).exp() if self.shape == "gaussian" else 1 / (1 + far)
        return near.nan_to_num(0.0, posinf=0.0), None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Everyone may attract; everyone counts."""
        return None, nobody(a)

    def reads(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})


def _turned(far: Tensor) -> Tensor:
    """Positive numbers in the opposite order of these, which are at least 0: none become equal, as 1 / far would let
    neighbours do. The bits of floating-point numbers, read as integers, are in the order of the numbers."""
    whole = torch.int64 if far.dtype == torch.float64 else torch.int32
    most = far.new_tensor(torch.finfo(far.dtype).max)
    turned = (most.view(whole) - far.clamp_max(most).view(whole)).view(far.dtype)
    return torch.where(far.isnan(), 0, turned)
