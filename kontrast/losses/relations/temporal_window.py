"""Positives are rows close in time."""

import math
from dataclasses import dataclass

from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, between, equal, nobody


@dataclass(frozen=True)
class TemporalWindow(Relation):
    """Positives are rows close in time.

    Take it for time series and video, where neighbouring windows share their content; for a continuous target take
    `TargetSimilarity`.

    Args:
        window: Largest difference, at least 0, in the unit of `key`.
        key: Key of the time; "time" by default.
        series: Key that must be equal too; None (default) for one common time axis.

    Raises:
        ValueError: `window` is below 0.

    Equation:
        P_ij = [|key_i - key_j| <= window and series_i = series_j], Q_ij = 1

    Reference:
        TNC arXiv:2106.00750; CPC arXiv:1807.03748.

    Example:
        >>> anchors = {"time": torch.tensor([[10.0]])}
        >>> candidates = {"time": torch.tensor([10.0, 14.0, 16.0])}
        >>> TemporalWindow(5.0).weights(anchors, candidates)[0].int().tolist()
        [[1, 1, 0]]
    """

    window: float
    key: str = "time"
    series: str | None = None

    def __post_init__(self) -> None:
        if not self.window >= 0:
            raise ValueError(
                f"temporal_window: window={self.window}; expected 0 or more, in the unit of the key '{self.key}'."
            )

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """1 inside the window, of the same series; all candidates."""
        near = (a[self.key] - c[self.key]).abs() <= self.window
        return near if self.series is None else near & (a[self.series] == c[self.series]), None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Pairs of one series if that list is short, else of the window; both hold all positives."""
        pairs = None if self.series is None else equal(a[self.series], c[self.series])
        if pairs is None:  # twice as wide, so that rounding of time +- window loses nobody on the border
            wide = 2 * self.window if a[self.key].is_floating_point() else math.ceil(self.window)
            pairs = between(a[self.key] - wide, a[self.key] + wide, c[self.key])
        return pairs, nobody(a)

    def reads(self) -> frozenset[str]:
        """Names of the time and of the series."""
        return frozenset({self.key} if self.series is None else {self.key, self.series})
