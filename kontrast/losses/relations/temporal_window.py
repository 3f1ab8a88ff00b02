"""Rows near in time attract."""

import math
from dataclasses import dataclass

from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, between, equal, nobody


@dataclass(frozen=True)
class TemporalWindow(Relation):
    """|time_i - time_j| <= window attracts, in the unit of the key; `series` (a key) asks for the same series too.

    Neighbouring windows as positives: TNC (arXiv:2106.00750), CPC's horizon (arXiv:1807.03748), time-contrastive
    networks.
    """

    window: float
    key: str = "time"
    series: str | None = None

    def __post_init__(self) -> None:
        if not self.window >= 0:
            raise ValueError(f"near: window={self.window}; expected 0 or more, in the unit of the key '{self.key}'.")

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """1 inside the window, of one series."""
        near = (a[self.key] - c[self.key]).abs() <= self.window
        return near if self.series is None else near & (a[self.series] == c[self.series]), None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """By sorting: one series' rows where that is a short list, else the window's; both hold all that attract."""
        pairs = None if self.series is None else equal(a[self.series], c[self.series])
        if pairs is None:  # twice as wide, so that rounding of time +- window loses nobody on the border
            wide = 2 * self.window if a[self.key].is_floating_point() else math.ceil(self.window)
            pairs = between(a[self.key] - wide, a[self.key] + wide, c[self.key])
        return pairs, nobody(a)

    def reads(self) -> frozenset[str]:
        """The time, and the series if there is one."""
        return frozenset({self.key} if self.series is None else {self.key, self.series})
