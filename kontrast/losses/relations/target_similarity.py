"""Positives weighed by the closeness of a continuous target."""

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
    """Positives weighed by the closeness of a continuous target.

    Take "gaussian" with `InfoNCE` (y-aware), "order" with `RankNContrast`. For classes take `SameKey`. A target of NaN
    is unknown and no positive.

    Args:
        key: Key of the target, a number (an age, a dose).
        width: In the unit of the target, above 0; 1 by default.
        shape: "gaussian" (default); "inverse", which never vanishes and so keeps the order of all distances down to
            rounding; "order", a number that falls with the distance and differs for any two distances that differ in
            float64, however skewed the target.

    Raises:
        UserError: `shape` is unknown.
        ValueError: `width` is not above 0.

    Equation:
        P_ij = exp(-(y_i - y_j)^2 / (2 width^2)), or 1 / (1 + |y_i - y_j| / width) for "inverse"; Q_ij = 1

    Reference:
        y-aware InfoNCE arXiv:2106.08808; Rank-N-Contrast arXiv:2210.01189.

    Example:
        >>> anchors = {"age": torch.tensor([[20.0]])}
        >>> candidates = {"age": torch.tensor([20.0, 21.0, 23.0])}
        >>> TargetSimilarity("age", shape="inverse").weights(anchors, candidates)[0].tolist()
        [[1.0, 0.5, 0.25]]
    """

    key: str
    width: float = 1.0
    shape: Shape = "gaussian"

    def __post_init__(self) -> None:
        input_checks.choice(self.shape, "target_similarity: shape", get_args(Shape))
        if not self.width > 0:
            raise ValueError(
                f"target_similarity: width={self.width}; expected above 0, in the unit of the key '{self.key}'."
            )

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Closeness of targets, and all candidates."""
        if self.shape == "order":
            near = _turned((exact(a[self.key]) - exact(c[self.key])).abs())
        else:
            far = (a[self.key] - c[self.key]).abs() / self.width
            near = (-0.5 * far * far).exp() if self.shape == "gaussian" else 1 / (1 + far)
        return near.nan_to_num(0.0, posinf=0.0), None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """No short list of positives, since any pair may be one; every row is a candidate."""
        return None, nobody(a)

    def reads(self) -> frozenset[str]:
        """Name of the key."""
        return frozenset({self.key})


def _turned(far: Tensor) -> Tensor:
    """Positive numbers in reversed order, all distinct.

    1 / far would make neighbours equal; the bits of non-negative floating-point numbers, read as integers, have the
    order of the numbers.
    """
    whole = torch.int64 if far.dtype == torch.float64 else torch.int32
    most = far.new_tensor(torch.finfo(far.dtype).max)
    turned = (most.view(whole) - far.clamp_max(most).view(whole)).view(far.dtype)
    return torch.where(far.isnan(), 0, turned)
