"""Columns of short strings with many values (names, codes, addresses), as hashed n-grams."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.modalities.table.blocks.block import Block

_LONGEST = 200  # characters of a string that count
_GRAM = 3


class Strings(Block):
    """Strings that are alike if their spelling is.

    Features: counts of the n-grams of three characters, hashed into `buckets` with a random sign and scaled to length
    one; whether the string is missing.

    Args:
        names: The columns.
        buckets: Features per column.
        absent: (c,) share of missing cells.
        drawn: Of each column some strings of the sample, to draw from.

    Reference:
        Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.
    """

    def __init__(
        self, names: Sequence[str], *, buckets: int, absent: Sequence[float], drawn: Sequence[Sequence[str]]
    ) -> None:
        self.names, self.absent, self.buckets = list(names), list(absent), buckets
        self._drawn = [list(strings) for strings in drawn]
        self.slots, self.features = [buckets] * len(self.names), [buckets + 1] * len(self.names)
        others = [np.stack([hashed(words, buckets) for words in strings]) for strings in self._drawn]
        self._others = torch.from_numpy(np.stack(others)) if others else torch.zeros(0, 1, buckets)
        self._gone = torch.tensor(self.absent)

    @classmethod
    def fitted(cls, names: Sequence[str], cells: Sequence[Sequence[Any]], *, buckets: int, sample: int) -> "Strings":
        """Fits to the cells of each column; `sample` strings per column are kept to draw from."""
        absent, drawn = [], []
        for column in cells:
            known = [str(cell) for cell in column if cell is not None]
            absent.append(1 - len(known) / len(column))
            drawn.append([known[at][:_LONGEST] for at in np.linspace(0, len(known) - 1, sample).astype(int)])
        return cls(names, buckets=buckets, absent=absent, drawn=drawn)

    def pack(self, cells: Sequence[Any] | np.ndarray) -> np.ndarray:
        """(c buckets,) float32."""
        gone = np.full(self.buckets, np.nan, np.float32)
        parts = [gone if cell is None else hashed(str(cell), self.buckets) for cell in cells]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def expand(self, packed: Tensor) -> Tensor:
        """(B, c buckets) -> (B, c (buckets + 1))."""
        x = packed.unflatten(1, (-1, self.buckets))
        gone = x[..., :1].isnan()
        return torch.cat((torch.where(gone, 0.0, x), gone.to(x.dtype)), 2).flatten(1)

    def raw(self, packed: Tensor) -> Tensor:
        """The same."""
        return self.expand(packed)

    def draw(self, u: Tensor) -> Tensor:
        """(B, c) -> (B, c buckets)."""
        gone = self._gone.to(u.device)
        at = ((u - gone) / (1 - gone) * self._others.shape[1]).long().clamp(0, self._others.shape[1] - 1)
        values = self._others.to(u.device)[torch.arange(u.shape[1], device=u.device), at]
        return torch.where((u < gone)[..., None], torch.nan, values).flatten(1)

    def words(self, packed: np.ndarray) -> list[str]:
        """What is left of a string: how many of its buckets are filled."""
        rows = packed.reshape(-1, self.buckets)
        return ["" if np.isnan(row[0]) else f"a string ({int((row != 0).sum())} n-grams)" for row in rows]

    def seen(self, features: np.ndarray) -> list[str]:
        """As `words`."""
        rows = features.reshape(-1, self.buckets + 1)
        return self.words(np.where(rows[:, -1:] > 0, np.nan, rows[:, :-1]).ravel())

    def described(self) -> list[dict[str, Any]]:
        """How strings are hashed."""
        how = (
            f"trigrams of the string in lower case with a space before and after, the first {_LONGEST} characters: "
            f"crc32 of its UTF-8 modulo {self.buckets} is the slot, its highest bit the sign (1: plus); length 1"
        )
        return [{"slot": how} for _ in self.names]

    def state(self) -> dict[str, Any]:
        """The strings to draw from."""
        return {"names": self.names, "buckets": self.buckets, "absent": self.absent, "drawn": self._drawn}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Strings":
        """From what `state` returned."""
        return cls(state["names"], **{name: state[name] for name in ("buckets", "absent", "drawn")})


def hashed(words: str, buckets: int) -> np.ndarray:
    """(buckets,) float32 of length one: signed counts of the n-grams of a string, in lower case."""
    text = f" {words[:_LONGEST].lower().strip()} "
    found = np.zeros(buckets, np.float32)
    for at in range(max(1, len(text) - _GRAM + 1)):
        code = zlib.crc32(text[at : at + _GRAM].encode())
        found[code % buckets] += 1.0 if code & 0x80000000 else -1.0
    return found / max(float(np.linalg.norm(found)), 1e-6)
