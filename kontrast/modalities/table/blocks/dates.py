"""Columns of dates and times: how late they are, and their place in the year, the week and the day."""

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.core.errors import Unreadable
from kontrast.modalities.table.blocks.block import Block

_YEAR, _WEEK, _DAY = 365.2425, 7.0, 86_400.0
_FIRST = datetime.date(1970, 1, 1).toordinal()
_CLIP = 6.0


class Dates(Block):
    """Dates, times, and both.

    Features: the instant in standard units; sine and cosine of its place in the year, the week and the day; whether it
    is missing. Packed are days since 1970 and seconds of the day.

    Args:
        names: The columns.
        mean: (c,) mean day.
        spread: (c,) standard deviation in days.
        absent: (c,) share of missing cells.
        drawn: (c, Q, 2) instants of the sample, to draw from.
    """

    def __init__(
        self, names: Sequence[str], *, mean: np.ndarray, spread: np.ndarray, absent: Sequence[float], drawn: np.ndarray
    ) -> None:
        self.names, self.absent = list(names), list(absent)
        self._mean, self._spread, self._drawn = mean, spread, drawn
        self.slots, self.features = [2] * len(self.names), [8] * len(self.names)
        self._flat = [torch.from_numpy(a.astype(np.float32)) for a in (mean, spread)]
        self._others, self._gone = torch.from_numpy(drawn.astype(np.float32)), torch.tensor(self.absent)

    @classmethod
    def fitted(cls, names: Sequence[str], cells: Sequence[Sequence[Any]], *, sample: int) -> "Dates":
        """Fits to the cells of each column; `sample` instants per column are kept to draw from."""
        mean, spread, absent, drawn = [], [], [], []
        for column in cells:
            found = np.array([both for cell in column if cell is not None and (both := instant(cell)) is not None])
            days = found[:, 0] + found[:, 1] / _DAY
            mean.append(days.mean())
            spread.append(days.std() or 1.0)
            absent.append(1 - len(found) / len(column))
            order = np.lexsort((found[:, 1], found[:, 0]))
            drawn.append(found[order[((np.arange(sample) + 0.5) / sample * len(found)).astype(int)]])
        return cls(names, mean=np.array(mean), spread=np.array(spread), absent=absent, drawn=np.stack(drawn))

    def pack(self, cells: Sequence[Any] | np.ndarray) -> np.ndarray:
        """(2 c,) float32: day and second of each column."""
        packed: list[float] = []
        for name, cell in zip(self.names, cells, strict=True):
            both = (math.nan, math.nan) if cell is None or _blank(cell) else instant(cell)
            if both is None:
                raise Unreadable(f"holds {cell!r} in column '{name}', where the training rows hold dates or times")
            packed += both
        return np.array(packed, np.float32)

    def expand(self, packed: Tensor) -> Tensor:
        """(B, 2 c) -> (B, 8 c)."""
        day, second = packed.unflatten(1, (-1, 2)).unbind(2)
        there = day.isfinite()
        day, second = day.nan_to_num(0.0), second.nan_to_num(0.0)
        mean, spread = (fact.to(packed.device) for fact in self._flat)
        z = ((day - mean + second / _DAY) / spread).clamp(-_CLIP, _CLIP)
        # In days within the period first: 20,000 days in float32 leave no room for seconds.
        turns = [torch.remainder(day, period) / period for period in (_YEAR, _WEEK)] + [second / _DAY]
        angle = 2 * math.pi * torch.stack(turns, 2)
        shown = torch.cat((z[..., None], angle.sin(), angle.cos()), 2) * there[..., None]
        return torch.cat((shown, (~there)[..., None].to(shown.dtype)), 2).flatten(1)

    def raw(self, packed: Tensor) -> Tensor:
        """The same."""
        return self.expand(packed)

    def draw(self, u: Tensor) -> Tensor:
        """(B, c) -> (B, 2 c)."""
        gone = self._gone.to(u.device)
        at = ((u - gone) / (1 - gone) * self._others.shape[1]).long().clamp(0, self._others.shape[1] - 1)
        values = self._others.to(u.device)[torch.arange(u.shape[1], device=u.device), at]
        return torch.where((u < gone)[..., None], math.nan, values).flatten(1)

    def words(self, packed: np.ndarray) -> list[str]:
        """ISO dates, with the time of day where there is one."""
        found = []
        for day, second in packed.reshape(-1, 2):
            if not np.isfinite(day):
                found.append("")
                continue
            date = datetime.date.fromordinal(int(day) + _FIRST).isoformat()
            time = str(datetime.timedelta(seconds=int(second)))
            found.append(f"{date} {time}" if second and day else time if second else date)
        return found

    def seen(self, features: np.ndarray) -> list[str]:
        """The days."""
        rows = features.reshape(-1, 8)
        days = np.where(rows[:, -1] > 0, np.nan, np.round(self._mean + self._spread * rows[:, 0]))
        return self.words(np.stack((days, np.zeros_like(days)), 1).ravel())

    def described(self) -> list[dict[str, Any]]:
        """Day and second."""
        return [{"slot": "days since 1970-01-01, then seconds of the day (UTC)"} for _ in self.names]

    def state(self) -> dict[str, Any]:
        """Means, deviations and the instants to draw from."""
        return {
            "names": self.names,
            "mean": self._mean.tolist(),
            "spread": self._spread.tolist(),
            "absent": self.absent,
            "drawn": self._drawn.tolist(),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Dates":
        """From what `state` returned."""
        arrays = {name: np.array(state[name], np.float64) for name in ("mean", "spread", "drawn")}
        return cls(state["names"], absent=state["absent"], **arrays)


def instant(cell: Any) -> tuple[float, float] | None:
    """Days since 1970 and seconds of the day; None if the cell is no date or time. A time alone lies in 1970."""
    if isinstance(cell, str):
        cell = _parsed(cell.strip())
    if isinstance(cell, datetime.datetime):
        cell = cell.astimezone(datetime.UTC) if cell.tzinfo else cell
        return float(cell.toordinal() - _FIRST), _seconds(cell.time())
    if isinstance(cell, datetime.date):
        return float(cell.toordinal() - _FIRST), 0.0
    if isinstance(cell, datetime.time):
        return 0.0, _seconds(cell)
    if isinstance(cell, datetime.timedelta):
        return float(cell.days), cell.seconds + cell.microseconds / 1e6
    return None


def _blank(cell: Any) -> bool:
    return isinstance(cell, str) and not cell.strip()


def _seconds(time: datetime.time) -> float:
    return time.hour * 3600 + time.minute * 60 + time.second + time.microsecond / 1e6


def _parsed(words: str) -> datetime.datetime | datetime.date | datetime.time | None:
    """ISO dates and times, 2024/3/1, 1.3.2024 and 3/1/2024 (day first, unless that is no date)."""
    for read in (datetime.datetime.fromisoformat, datetime.time.fromisoformat):
        try:
            return read(words)
        except ValueError:
            continue
    for form in ("%Y/%m/%d", "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%H:%M"):
        try:
            found = datetime.datetime.strptime(words, form)
        except ValueError:
            continue
        return found.time() if form == "%H:%M" else found
    return None
