"""Columns of categories: words, truth values and codes with few values, as one-hot features."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.modalities.table.blocks.block import Block


class Categories(Block):
    """Categories with a common feature for rare values.

    A value that the training rows lack counts as rare; if no value was rare, as missing.

    Args:
        names: The columns.
        levels: Of each column its values, the most frequent first.
        counts: Of each column the rows of each value in the sample.
        rare: (c,) rows with other values in the sample.
        absent: (c,) share of missing cells.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        levels: Sequence[Sequence[str]],
        counts: Sequence[Sequence[int]],
        rare: Sequence[int],
        absent: Sequence[float],
    ) -> None:
        self.names, self.absent = list(names), list(absent)
        self._levels, self._counts, self._rare = [list(v) for v in levels], [list(n) for n in counts], list(rare)
        self._code = [{level: code for code, level in enumerate(values)} for values in self._levels]
        # code of a rare value: after all levels; without rare values in training there is no feature for it
        self._other = [float(len(v)) if rare else math.nan for v, rare in zip(self._levels, self._rare, strict=True)]
        sizes = [len(values) + (rare > 0) for values, rare in zip(self._levels, self._rare, strict=True)]
        self.slots, self.features = [1] * len(self.names), [size + 1 for size in sizes]
        self._starts = torch.tensor(np.cumsum([0, *self.features[:-1]]))
        self._width, self._missing = sum(self.features), torch.tensor(sizes)
        self._tables = _cumulated(self._counts, self._rare, self.absent)

    @classmethod
    def fitted(cls, names: Sequence[str], cells: Sequence[Sequence[Any]], *, most: int) -> "Categories":
        """Fits to the cells of a sample.

        Args:
            names: The columns.
            cells: Of each column its cells; None where missing.
            most: Values per column with a feature of their own. A value of a single row has none.
        """
        levels, counts, rare, absent = [], [], [], []
        for column in cells:
            known = Counter(level_of(cell) for cell in column if cell is not None)
            common = [pair for pair in sorted(known.items(), key=lambda p: (-p[1], p[0])) if pair[1] > 1][:most]
            common = common or sorted(known.items())[:most]
            levels.append([level for level, _ in common])
            counts.append([count for _, count in common])
            rare.append(sum(known.values()) - sum(counts[-1]))
            absent.append(1 - sum(known.values()) / len(column))
        return cls(names, levels=levels, counts=counts, rare=rare, absent=absent)

    def pack(self, cells: Sequence[Any] | np.ndarray) -> np.ndarray:
        """(c,) float32 codes."""
        packed = [
            math.nan if cell is None else codes.get(level_of(cell), other)
            for cell, codes, other in zip(cells, self._code, self._other, strict=True)
        ]
        return np.array(packed, np.float32)

    def expand(self, packed: Tensor) -> Tensor:
        """(B, c) codes -> (B, F) one-hot."""
        code = torch.where(packed.isfinite(), packed, self._missing.to(packed)).long() + self._starts.to(packed.device)
        return packed.new_zeros(packed.shape[0], self._width).scatter(1, code, 1.0)

    def raw(self, packed: Tensor) -> Tensor:
        """The same."""
        return self.expand(packed)

    def draw(self, u: Tensor) -> Tensor:
        """(B, c) -> (B, c) codes, as often as in the sample."""
        ends = self._tables.to(u.device)  # (c, most + 2): shares of all codes up to this one, missing last
        code = (u[..., None] >= ends).sum(2).float()
        return torch.where(code >= self._missing.to(u.device), math.nan, code)

    def words(self, packed: np.ndarray) -> list[str]:
        """The values; "rare" for one without a feature of its own."""
        return [
            "" if not np.isfinite(code) else levels[int(code)] if code < len(levels) else "rare"
            for code, levels in zip(packed, self._levels, strict=True)
        ]

    def seen(self, features: np.ndarray) -> list[str]:
        """The values."""
        parts = np.split(features, np.cumsum(self.features)[:-1])
        codes = [np.nan if part[-1] else float(part.argmax()) for part in parts]
        return self.words(np.array(codes))

    def described(self) -> list[dict[str, Any]]:
        """The code of each value, and that of all others."""
        others = [None if math.isnan(code) else int(code) for code in self._other]
        return [{"codes": codes, "other": other} for codes, other in zip(self._code, others, strict=True)]

    def state(self) -> dict[str, Any]:
        """Values and how often each occurs."""
        return {
            "names": self.names,
            "levels": self._levels,
            "counts": self._counts,
            "rare": self._rare,
            "absent": self.absent,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Categories":
        """From what `state` returned."""
        return cls(state["names"], **{name: state[name] for name in ("levels", "counts", "rare", "absent")})


def level_of(cell: Any) -> str:
    """A value in words: 3 and 3.0 are one, so that a column of codes may get gaps."""
    if isinstance(cell, float) and cell == round(cell):
        return str(int(cell))
    return str(cell).strip()


def _cumulated(counts: Sequence[Sequence[int]], rare: Sequence[int], absent: Sequence[float]) -> Tensor:
    """(c, most + 1) cumulated shares of codes among all cells; ones after the last code that is not missing."""
    most = max((len(n) for n in counts), default=0) + 1
    ends = torch.ones(len(counts), most)
    for row, known, other, gone in zip(ends, counts, rare, absent, strict=True):
        shares = np.array([*known, *([other] if other else [])], np.float64)
        cumulated = np.cumsum(shares / shares.sum() * (1 - gone))
        row[: len(shares)] = torch.from_numpy(cumulated.astype(np.float32))
        if not gone:
            row[len(shares) - 1] = 2.0  # rounding must not make a cell missing
    return ends
