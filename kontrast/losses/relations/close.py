"""Rows with close values of a continuous target attract, the closer the more."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from kontrast.core.rows import Keys
from kontrast.losses.relation import Pairs, Relation, nobody


@dataclass(frozen=True)
class Close(Relation):
    """A real key (an age, a dose): attract = exp(-(y_i - y_j)^2 / (2 width^2)), or 1 / (1 + |y_i - y_j| / width).

    "gaussian" is the kernel of y-aware InfoNCE (arXiv:2106.08808); "inverse" never vanishes, so it keeps the order of
    all distances, which Rank-N-Contrast (the loss `Rnc`) asks for. `width` is in the unit of the target.
    """

    key: str
    width: float = 1.0
    shape: Literal["gaussian", "inverse"] = "gaussian"

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ValueError(f"close: width={self.width}; expected more than 0, in the unit of the key '{self.key}'.")

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """By distance; everyone counts."""
        far = (a[self.key] - c[self.key]).abs() / self.width
        return (-0.5 * far * far).exp() if self.shape == "gaussian" else 1 / (1 + far), None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Everyone may attract; everyone counts."""
        return None, nobody(a)

    def reads(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})
