"""Time series: one or several channels of numbers over time, of any length, with gaps.

Axis letters: B rows, C channels of the field, T time, K what the encoder sees of them, R raw features.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from kontrast.core.errors import Unreadable, UserError
from kontrast.core.factory import Range
from kontrast.data.augmentation import AugmentationChoice, applied, augmentation_of, streams_of
from kontrast.data.export_entry import ExportEntry
from kontrast.data.masking import Masking
from kontrast.data.miniature import Miniature
from kontrast.data.modality import Modality
from kontrast.data.remark import Remark, Rows, span
from kontrast.data.schema.column import Claim, Column
from kontrast.data.view import Role
from kontrast.modalities.series.augmentations.changes import Changes, augment, ends, moments, past
from kontrast.modalities.series.export_entry import SeriesEntry
from kontrast.modalities.series.masking import MASKING
from kontrast.modalities.series.miniature import MINIATURE
from kontrast.modalities.series.recognise import recognise
from kontrast.modalities.series.remarks import remarks

_LONGEST = 512  # samples kept of a series where the user names no length
_RAW = 128  # raw features a channel
_SHORT = (0.1, 0.4)  # share of time in a local view
_WEAK_CROP = 0.8  # smallest share of time in a weak view
_PAST = 0.5  # share of time in a context view
_MOST = 0.9  # that a strong view raises a change to
_COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706")


class Series(Modality):
    """Time series as lists or arrays of numbers, of any length, with gaps.

    A cell is (T,), (T, C) or (C, T); None or NaN is a gap. Channels lie on the axis whose size is the same in all
    training rows; if both are, on the smaller one. NaN at the end of a row is padding, so rows may differ in length.

    Args:
        length: Samples kept of a series; a longer one is averaged down to it, a shorter one stays as it is. None: the
            longest of the training rows, at most 512.
        time_axis: The axis of time in cells of two axes: "first" is (T, C), "last" is (C, T); "auto" decides as above.
        normalise: "series" gives every row and channel mean 0 and scale 1, which shows the shape and hides level and
            amplitude; "dataset" takes both from the training rows, so that level and amplitude stay; "both" shows the
            encoder the two side by side, twice the channels; "none" leaves the numbers alone.
        crop: Smallest share of time that a view keeps; 1 for all.
        stretch: Largest change of speed (0.2: 20 %); 0 for none.
        warp: Largest local change of speed; 0 for none.
        scale: Largest change of amplitude; 0 for none.
        shift: Largest shift of the level, in standard deviations of the row; 0 for none.
        noise: Standard deviation of the noise, in standard deviations of the row; 0 for none.
        gaps: Largest hidden share of time; 0 for none.
        augmentation: One more, by name, applied last; None for none.

    Roles of views:
        global: all changes above.
        local: a window of 10 to 40 % of the time, with all changes but `crop`.
        weak: a window of 80 % or more; no other change.
        strong: as global, with twice the stretch, warp, scale, shift, noise and gaps.
        context: the first half of the time, without changes.
        original: no augmentation.

    Raises:
        UserError: a setting out of its range.

    Example:
        >>> import numpy as np
        >>> series = Series()
        >>> items = [series.read(list(range(n)), None) for n in (20, 30)]
        >>> series.fit(items)
        >>> batch = series.collate([series.pack(item) for item in items])
        >>> series.preprocess(batch).shape
        torch.Size([2, 2, 30])
    """

    encoder = "tcn"
    encoder_settings: ClassVar[Mapping[str, Any]] = {"pool": "statistics"}
    axes = "BCT"
    all_flat = (
        "no series changes over time, so there is nothing to learn from. "
        "Check that time is where it is expected: one row per series, not one row per instant."
    )
    precedence = 30

    def __init__(
        self,
        *,
        length: Annotated[int, Range(1, 1_000_000)] | None = None,
        time_axis: Literal["auto", "first", "last"] = "auto",
        normalise: Literal["both", "series", "dataset", "none"] = "both",
        crop: float = 0.5,
        stretch: float = 0.05,
        warp: float = 0.05,
        scale: float = 0.1,
        shift: float = 0.05,
        noise: float = 0.05,
        gaps: float = 0.1,
        augmentation: AugmentationChoice | None = None,
    ) -> None:
        for name, value, low in (("crop", crop, 0.05), ("stretch", stretch, 0), ("warp", warp, 0), ("scale", scale, 0)):
            _within(name, value, low, 1 if name == "crop" else 0.9)
        for name, value, high in (("shift", shift, 10), ("noise", noise, 10), ("gaps", gaps, 0.9)):
            _within(name, value, 0, high)
        if length is not None and length < 1:
            raise UserError(f"series: length={length}; expected at least 1 sample, or none to take it from the data.")
        self.length, self.time_axis, self.normalise = length, time_axis, normalise
        self.crop, self.stretch, self.warp = crop, stretch, warp
        self.scale, self.shift, self.noise, self.gaps = scale, shift, noise, gaps
        self.augmentation = augmentation_of(augmentation)
        self._channels, self._axis = 1, 1
        self._mean, self._spread, self._within = [0.0], [1.0], [1.0]

    @classmethod
    def recognise(cls, column: Column) -> Claim | None:
        """Says why a column holds series, by its cells."""
        return recognise(column)

    def read(self, cell: Any, folder: Path) -> np.ndarray:
        """Reads the numbers of one row.

        Returns:
            (T,) or 2-D as it came, float32.

        Raises:
            Unreadable: text, ragged lists, infinite numbers, or only gaps.
        """
        if isinstance(cell, str | bytes | Mapping):
            raise Unreadable(f"is {type(cell).__name__}; a series is a list of numbers")
        try:
            item = np.asarray(cell)
        except (ValueError, TypeError) as error:
            raise Unreadable("its inner lists differ in length") from error
        if item.dtype.kind == "O" and not any(isinstance(v, str | bytes) for v in item.flat):
            try:
                item = item.astype(np.float64)  # None becomes NaN
            except (ValueError, TypeError) as error:
                raise Unreadable("holds something that is no number") from error
        if item.dtype.kind not in "biuf":
            raise Unreadable("holds something that is no number")
        if item.ndim not in (1, 2):
            raise Unreadable(f"has {item.ndim} axes; a series has 1 (time) or 2 (time and channels)")
        if item.size == 0:
            raise Unreadable("is empty")
        if np.isinf(item).any() or (np.abs(item, where=np.isfinite(item), out=np.zeros(item.shape)) > 1e30).any():
            raise Unreadable("holds an infinite number")
        if np.isnan(item).all():
            raise Unreadable("holds no number, only gaps")
        return item.astype(np.float32)

    def fit(self, items: Sequence[np.ndarray]) -> None:
        """Learns time axis, channels, length, and the mean and spread per channel."""
        if not items:
            raise UserError("series: no row could be read; expected lists of numbers.")
        shapes = [item.shape if item.ndim == 2 else (len(item), 1) for item in items]
        # Channels: the axis whose commonest size is the commoner; on a tie the smaller one.
        sizes = [max(set(s), key=s.count) for s in zip(*shapes, strict=True)]
        shares = [sum(shape[axis] == sizes[axis] for shape in shapes) for axis in (0, 1)]
        first = (
            (shares[1], -sizes[1]) >= (shares[0], -sizes[0]) if self.time_axis == "auto" else self.time_axis == "first"
        )
        self._axis = 1 if first else 0
        self._channels = sizes[self._axis]
        series = [s for s in map(self._oriented, items) if s.shape[1] == self._channels]
        if self.length is None:
            self.length = min(max(map(len, series)), _LONGEST)
        counts = np.stack([np.isfinite(s).sum(0) for s in series])
        sums = np.stack([np.nansum(s, 0, dtype=np.float64) for s in series])
        total = counts.sum(0).clip(1)
        mean = sums.sum(0) / total
        square = np.stack([np.nansum((s - mean) ** 2, 0, dtype=np.float64) for s in series])
        own = square / counts.clip(1) - (sums / counts.clip(1) - mean) ** 2  # each row's own variance
        within = np.array([np.median(v[c > 0]) if (c > 0).any() else 0.0 for v, c in zip(own.T, counts.T, strict=True)])
        spread = np.sqrt(square.sum(0) / total)
        spread[spread == 0] = 1.0
        within = np.maximum(np.sqrt(within.clip(0)), 1e-3 * spread)  # rows all flat: their rounding errors are no shape
        self._mean, self._spread, self._within = mean.tolist(), spread.tolist(), within.tolist()

    def pack(self, item: np.ndarray) -> np.ndarray:
        """Orients a row and averages it down to `length`.

        Returns:
            (T, C) float32, T at most `length`.

        Raises:
            Unreadable: another number of channels than the training rows have.
        """
        series = self._oriented(item)
        if series.shape[1] != self._channels:
            raise Unreadable(f"has {series.shape[1]} channels where the training rows have {self._channels}")
        if self.length is None or len(series) <= self.length:
            return series
        edges = np.arange(self.length) * len(series) // self.length
        known = np.isfinite(series)
        counts = np.add.reduceat(known, edges, axis=0, dtype=np.int64)
        sums = np.add.reduceat(np.where(known, series, 0), edges, axis=0, dtype=np.float64)
        return np.where(counts > 0, sums / counts.clip(1), np.nan).astype(np.float32)

    def collate(self, packed: Sequence[np.ndarray]) -> Tensor:
        """Pads rows with NaN to the longest: (B, C, T) float32."""
        batch = np.full((len(packed), self._channels, max(map(len, packed))), np.nan, np.float32)
        for row, series in zip(batch, packed, strict=True):
            row[:, : len(series)] = series.T
        return torch.from_numpy(batch)

    def preprocess(self, batch: Tensor) -> Tensor:
        """Normalises series: (B, K, T); NaN stays NaN."""
        parts = []
        if self.normalise in ("both", "series"):
            mean, deviation = moments(batch)
            # A flat row is not noise blown up: its scale is never below a twentieth of what rows usually have.
            parts.append((batch - mean) / torch.maximum(deviation, 0.05 * self._fact(self._within, batch)))
        if self.normalise in ("both", "dataset"):
            parts.append((batch - self._fact(self._mean, batch)) / self._fact(self._spread, batch))
        return torch.cat(parts, 1) if parts else batch

    def augment(
        self,
        batch: Tensor,
        key_B: Tensor,
        row_B: Tensor | None = None,
        role: Role = "global",
        step_B: Tensor | None = None,
    ) -> Tensor:
        """Views with another window, speed, amplitude, level, noise and gaps, by role: (B, K, T).

        Local and context views have a smaller T.
        """
        if role == "original":
            return self.preprocess(batch)
        if role == "context":
            return self.preprocess(past(batch, _PAST))
        seen = self.preprocess(augment(batch, key_B, self._changes(role)))
        return applied(self.augmentation, seen, streams_of(key_B, row_B, step_B), role)

    def _changes(self, role: Role) -> Changes:
        if role == "weak":
            return Changes(crop=max(self.crop, _WEAK_CROP))
        own = (self.stretch, self.warp, self.scale, self.shift, self.noise, self.gaps)
        if role == "strong":
            return Changes(self.crop, *(max(change, min(_MOST, 2 * change)) for change in own))
        if role == "local":
            return Changes(_SHORT[0], *own, largest_crop=_SHORT[1])
        return Changes(self.crop, *own)

    def raw(self, batch: Tensor) -> Tensor:
        """Resampled, z-normalised series as features: (B, R).

        Gaps are bridged by straight lines and rows averaged onto a grid of at most 128 steps. Cosine neighbours of
        these are neighbours by Euclidean distance between z-normalised series.
        """
        known_BT = batch.isfinite().any(1)
        bins = min(self.length or batch.shape[-1], _RAW)
        filled = _bridged(batch).double()
        filled = filled - filled.mean(-1, keepdim=True)
        area = torch.nn.functional.pad(filled.cumsum(-1), (1, 0))  # area[t]: integral of the steps before t
        edges = torch.linspace(0, 1, bins + 1, device=batch.device, dtype=torch.float64) * ends(known_BT)[:, None]
        left = edges.long().clamp_max(batch.shape[-1] - 1)
        below = area.gather(2, left[:, None].expand(-1, batch.shape[1], -1))
        above = area.gather(2, left[:, None].expand(-1, batch.shape[1], -1) + 1)
        averaged = (below + (above - below) * (edges - left)[:, None]).diff(dim=-1)
        mean, deviation = averaged.mean(-1, keepdim=True), averaged.std(-1, correction=0, keepdim=True)
        return ((averaged - mean) / deviation.clamp_min(1e-9)).flatten(1).float()

    def export_entry(self) -> ExportEntry:
        """Inputs of an exported graph."""
        return SeriesEntry(self)

    @classmethod
    def masking(cls) -> Masking:
        """Masked spans of time."""
        return MASKING

    @classmethod
    def miniature(cls) -> Miniature:
        """Means over parts of time."""
        return MINIATURE

    def is_flat(self, packed: np.ndarray) -> bool:
        """Whether no channel changes over time; gaps are no change."""
        known = np.isfinite(packed)
        lowest, highest = np.where(known, packed, np.inf).min(0), np.where(known, packed, -np.inf).max(0)
        return bool((lowest >= highest).all())

    def dimensions(self, lengths: np.ndarray) -> str:
        """Steps of rows."""
        return span(lengths, "steps")

    def remarks(self, rows: Rows) -> list[Remark]:
        """Lengths of the series against the limit beyond which they are averaged down."""
        return remarks(rows, int(self.facts()["length"]), 1 - self._axis)

    @classmethod
    def examples(cls, n: int) -> list[Any]:
        """Sums of two waves, of differing length."""
        cells = []
        for k in range(n):
            t = np.arange(48 + 4 * (k % 5))
            cells.append((np.sin(t * (0.1 + 0.07 * (k % 4)) + k) + 0.3 * np.cos(t * (0.5 + 0.01 * k))).tolist())
        return cells

    def show(self, packed: np.ndarray) -> str:
        """Renders a sparkline: the first four channels, each on its own scale, broken at gaps."""
        step = max(1, len(packed) // 160)
        points = packed[::step, : len(_COLOURS)]
        lines = []
        for channel, colour in zip(points.T, _COLOURS, strict=False):
            known = np.isfinite(channel)
            if not known.any():
                continue
            low, high = channel[known].min(), channel[known].max()
            y = 38 - 36 * (channel - low) / (high - low) if high > low else np.where(known, 20, np.nan)
            x = np.linspace(1, 159, len(channel)) if len(channel) > 1 else np.array([80.0])
            pen = [
                f"{'L' if t and known[t - 1] else 'M'}{x[t]:.1f} {y[t]:.1f}" for t in range(len(channel)) if known[t]
            ]
            lines.append(
                f'<path d="{"".join(pen)}" fill="none" stroke="{colour}" stroke-width="1.2" stroke-linecap="round"/>'
            )
        words = f"series of {len(packed)} steps, {packed.shape[1]} channel{'s' * (packed.shape[1] > 1)}"
        size = 'viewBox="0 0 160 40" width="160" height="40"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{words}">{"".join(lines)}</svg>'

    def look(self, view: Tensor) -> str:
        """Renders a series as the encoder saw it."""
        return self.show(view.float().cpu().numpy().T)

    def facts(self) -> Mapping[str, Any]:
        """Channels per instant as the encoder sees them ("both" doubles them), and the greatest length."""
        return {"channels": self._channels * (2 if self.normalise == "both" else 1), "length": self.length}

    def state(self) -> dict[str, Any]:
        """Length, channels and their axis, means and spreads."""
        return {
            "length": self.length,
            "channels": self._channels,
            "axis": self._axis,
            "mean": self._mean,
            "spread": self._spread,
            "within": self._within,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""
        self.length, self._channels, self._axis = state["length"], state["channels"], state["axis"]
        self._mean, self._spread, self._within = state["mean"], state["spread"], state["within"]

    def _oriented(self, item: np.ndarray) -> np.ndarray:
        """(T, C) without the instants at the end that are NaN in all channels."""
        series = item[:, None] if item.ndim == 1 else item if self._axis == 1 else item.T
        known = np.flatnonzero(np.isfinite(series).any(1))
        return series[: known[-1] + 1] if len(known) else series[:1]

    def _fact(self, values: list[float], batch: Tensor) -> Tensor:
        return torch.tensor(values, device=batch.device, dtype=batch.dtype)[:, None]


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UserError(f"series: {name}={value}; expected a number from {low} to {high}.")


def _bridged(batch: Tensor) -> Tensor:
    """Fills gaps by straight lines between their neighbours.

    Gaps at the ends take the nearest value; a row without any value becomes 0.
    """
    known, T = batch.isfinite(), batch.shape[-1]
    t = torch.arange(T, device=batch.device)
    before = torch.where(known, t, -1).cummax(-1).values
    after = torch.where(known, t, T).flip(-1).cummin(-1).values.flip(-1)
    left = torch.where(before >= 0, before, after).clamp(0, T - 1)
    right = torch.where(after < T, after, before).clamp(0, T - 1)
    low, high = batch.gather(-1, left), batch.gather(-1, right)
    share = (t - left) / (right - left).clamp_min(1)
    return (low + share.clamp(0, 1) * (high - low)).nan_to_num(0.0)
