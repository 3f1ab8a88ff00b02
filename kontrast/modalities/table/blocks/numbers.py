"""Columns of numbers, in standard units and by their place among the quantiles of the training rows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from kontrast.core.errors import Unreadable
from kontrast.modalities.table.blocks.block import Block, number_words

Scaling = Literal["quantile", "standard", "both"]
_CLIP = 6.0  # standard units beyond which a number says no more
_LARGEST = 1e30


class Numbers(Block):
    """Numbers with gaps.

    The features of a number are, by `scaling`: its standard units, clipped at 6; how far it reaches into each part
    between two quantiles (0 below, 1 above), which a linear layer makes any step or slope of. A last one says that it
    is missing.

    Args:
        names: The columns.
        knots: (c, K) rising quantiles of each column, filled up with the largest.
        mean: (c,) means.
        spread: (c,) standard deviations.
        absent: (c,) share of missing cells.
        scaling: Which features.
        drawn: (c, Q) numbers of the sample, to draw from.
        blanks: Strings that stand for a missing number.

    Equation:
        e_k = min(1, max(0, (x - q_k) / (q_{k+1} - q_k)))

    Reference:
        Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning", NeurIPS 2022.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        knots: np.ndarray,
        mean: np.ndarray,
        spread: np.ndarray,
        absent: Sequence[float],
        scaling: Scaling,
        drawn: np.ndarray,
        blanks: Sequence[str] = (),
    ) -> None:
        self.names, self.absent, self.scaling = list(names), list(absent), scaling
        self.blanks = sorted(set(blanks))
        self._blank = frozenset(self.blanks)
        knots, drawn = knots.astype(np.float32), drawn.astype(np.float32)  # what is computed with is what is kept
        self._knots, self._mean, self._spread, self._drawn = knots, mean, spread, drawn
        parts = (knots.shape[1] - 1) * (scaling != "standard") + (scaling != "quantile")
        self.slots, self.features = [1] * len(self.names), [parts + 1] * len(self.names)
        low, width = knots[:, :-1], np.diff(knots, axis=1)
        self._low = torch.from_numpy(low.copy())
        with np.errstate(divide="ignore"):
            self._steep = torch.from_numpy(np.where(width > 0, 1 / width, 0.0).astype(np.float32))
        self._flat = [torch.from_numpy(a.astype(np.float32)) for a in (mean, spread)]
        self._others = torch.from_numpy(drawn)
        self._gone = torch.tensor(self.absent)

    @classmethod
    def fitted(
        cls,
        names: Sequence[str],
        cells: np.ndarray,
        *,
        scaling: Scaling,
        bins: int,
        sample: int,
        blanks: Sequence[str] = (),
    ) -> "Numbers":
        """Fits to the cells of a sample.

        Args:
            names: The columns.
            cells: (N, c) float64, NaN where missing.
            scaling: Which features.
            bins: Parts between quantiles.
            sample: Numbers kept per column, to draw from.
            blanks: Strings that stand for a missing number.
        """
        ordered = np.sort(cells, axis=0).T  # NaN last
        counts = np.isfinite(cells).sum(0)
        mean, spread = np.nanmean(cells, 0), np.nanstd(cells, 0)
        spread[spread == 0] = 1.0
        knots = np.empty((len(names), bins + 1))
        drawn = np.empty((len(names), sample))
        places = (np.arange(sample) + 0.5) / sample
        for row, others, column, count in zip(knots, drawn, ordered, counts, strict=True):
            distinct = np.unique(_quantiles(column[:count], np.linspace(0, 1, bins + 1)))
            row[:] = distinct[-1]
            row[: len(distinct)] = distinct
            others[:] = column[(places * count).astype(np.int64)]
        absent = 1 - counts / len(cells)
        found = {"knots": knots, "mean": mean, "spread": spread, "drawn": drawn}
        return cls(names, absent=absent.tolist(), scaling=scaling, blanks=blanks, **found)

    def pack(self, cells: Sequence[Any] | np.ndarray) -> np.ndarray:
        """(c,) float32, NaN where missing."""
        try:
            packed = np.array(cells, dtype=object).astype(np.float64)  # None becomes NaN
        except (TypeError, ValueError):
            packed = np.array([self._number(n, c) for n, c in zip(self.names, cells, strict=True)])
        packed[~(np.abs(packed) < _LARGEST)] = math.nan
        return packed.astype(np.float32)

    def _number(self, name: str, cell: Any) -> float:
        if cell is None or (isinstance(cell, str) and (not cell.strip() or cell.strip() in self._blank)):
            return math.nan
        try:
            return float(cell)
        except (TypeError, ValueError) as error:
            raise Unreadable(f"holds {cell!r} in column '{name}', where the training rows hold numbers") from error

    def expand(self, packed: Tensor) -> Tensor:
        """(B, c) -> (B, c (parts + 1))."""
        there = packed.isfinite()
        x = torch.where(there, packed, 0.0)
        parts = []
        if self.scaling != "quantile":
            parts.append(
                ((x - self._on(self._flat[0], x)) / self._on(self._flat[1], x)).clamp(-_CLIP, _CLIP)[..., None]
            )
        if self.scaling != "standard":
            parts.append(((x[..., None] - self._on(self._low, x)) * self._on(self._steep, x)).clamp(0, 1))
        shown = torch.cat(parts, 2) * there[..., None]
        return torch.cat((shown, (~there)[..., None].to(shown.dtype)), 2).flatten(1)

    def raw(self, packed: Tensor) -> Tensor:
        """Standard units, the mean where missing; then which are missing, of columns with gaps."""
        there = packed.isfinite()
        x = torch.where(there, (packed - self._on(self._flat[0], packed)) / self._on(self._flat[1], packed), 0.0)
        gaps = [at for at, share in enumerate(self.absent) if share > 0]
        return torch.cat((x, (~there[:, gaps]).to(x.dtype)), 1)

    def draw(self, u: Tensor) -> Tensor:
        """(B, c) -> (B, c); missing as often as in the sample."""
        gone = self._gone.to(u.device)
        at = ((u - gone) / (1 - gone) * self._others.shape[1]).long().clamp(0, self._others.shape[1] - 1)
        values = self._others.to(u.device)[torch.arange(u.shape[1], device=u.device), at]
        return torch.where(u < gone, math.nan, values)

    def words(self, packed: np.ndarray) -> list[str]:
        """The numbers."""
        return [number_words(float(value)) if np.isfinite(value) else "" for value in packed]

    def seen(self, features: np.ndarray) -> list[str]:
        """The numbers, as far as the features tell."""
        found = []
        for at, row in enumerate(features.reshape(len(self.names), -1)):
            if self.scaling == "quantile":
                value = self._knots[at, 0] + float(row[:-1] @ np.diff(self._knots[at]))
            else:
                value = self._mean[at] + self._spread[at] * float(row[0])
            found.append("" if row[-1] else number_words(float(f"{value:.6g}")))
        return found

    def described(self) -> list[dict[str, Any]]:
        """The number itself."""
        return [{"slot": "the number"} for _ in self.names]

    def state(self) -> dict[str, Any]:
        """Quantiles, means, deviations and the numbers to draw from; float32 in its shortest spelling."""
        arrays = {"knots": self._knots, "drawn": self._drawn}
        flat = {"mean": self._mean, "spread": self._spread}
        return {
            "names": self.names,
            "scaling": self.scaling,
            "blanks": self.blanks,
            "absent": self.absent,
            **{name: [[float(str(v)) for v in row] for row in array] for name, array in arrays.items()},
            **{name: array.tolist() for name, array in flat.items()},
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Numbers":
        """From what `state` returned."""
        arrays = {name: np.array(state[name], np.float64) for name in ("knots", "drawn", "mean", "spread")}
        given = {name: state[name] for name in ("absent", "scaling", "blanks")}
        return cls(state["names"], **arrays, **given)

    def _on(self, fact: Tensor, like: Tensor) -> Tensor:
        return fact.to(like.device)


def _quantiles(ordered: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Quantiles of ordered numbers, between two of them by a straight line, as numpy's; ten times as fast for few."""
    at = places * (len(ordered) - 1)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
