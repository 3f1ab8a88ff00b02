"""Features of rows in memory-mapped files: appended in order, so that an interrupted writer goes on where it was.

Axis letters: N rows, B requested rows, D width, P positions of a row, E dense width.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kontrast.core.atomic_files import atomic_write

_TYPES = {"pooled": np.float32, "dense": np.float32, "mask": np.uint8, "lengths": np.int64}


class FeatureFiles:
    """Features of rows in the order in which they were appended.

    Positions after the last one that exists are not stored. What a killed process wrote after the last complete part is
    cut off.

    Args:
        folder: Made if it does not exist; continued if it does.

    Attributes:
        done: Rows that are stored.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._progress = folder, folder / "progress.json"
        known = json.loads(self._progress.read_text(encoding="utf8")) if self._progress.is_file() else {}
        self.done, self._positions = int(known.get("rows", 0)), int(known.get("positions", 0))
        self._widths: dict[str, int] = known.get("widths", {})
        self._mapped: dict[str, np.ndarray] = {}
        self._starts = np.zeros(0, np.int64)
        for name in _TYPES:
            if self._file(name).is_file():
                with self._file(name).open("r+b") as file:
                    file.truncate(self._count(name) * np.dtype(_TYPES[name]).itemsize)

    def append(self, pooled: np.ndarray, dense: np.ndarray | None = None, mask: np.ndarray | None = None) -> None:
        """Stores a part; it is found again once this returns.

        Args:
            pooled: (B, D).
            dense: (B, P, E), if there is any.
            mask: (B, P), 0 for positions that do not exist; None: all exist.
        """
        parts, self._widths = {"pooled": pooled}, {"pooled": pooled.shape[1]}
        if dense is not None:
            ends = np.full(len(dense), dense.shape[1]) if mask is None else _ends(mask)
            here = np.arange(dense.shape[1]) < ends[:, None]
            parts |= {"dense": dense[here], "lengths": ends}
            self._widths |= {"dense": dense.shape[2], "lengths": 1}
            self._positions += int(ends.sum())
            if mask is not None:
                parts["mask"] = mask[here] != 0
                self._widths["mask"] = 1
        for name, part in parts.items():
            with self._file(name).open("ab") as file:
                file.write(np.ascontiguousarray(part, _TYPES[name]).data)
        self.done += len(pooled)
        with atomic_write(self._progress) as aside:
            known = {"rows": self.done, "positions": self._positions, "widths": self._widths}
            aside.write_text(json.dumps(known), encoding="utf8")
        self._mapped = {}

    @property
    def size(self) -> int:
        """Bytes that are stored."""
        return sum(self._count(name) * np.dtype(_TYPES[name]).itemsize for name in self._widths)

    def dense(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Dense features (P, E) of a row and its mask (P,); of no positions if none are stored."""
        files = self._files()
        start, stop = (int(end) for end in self._starts[index : index + 2])
        mask = files["mask"][start:stop, 0].astype(bool) if "mask" in files else None
        return files["dense"][start:stop], mask

    def pooled(self, index: np.ndarray) -> np.ndarray:
        """Pooled features (B, D) of rows."""
        return self._files()["pooled"][index]

    @property
    def widths(self) -> Mapping[str, int]:
        """What is stored (pooled, dense, lengths, mask) and its width."""
        return self._widths

    def _files(self) -> dict[str, np.ndarray]:
        if not self._mapped:
            for name, width in self._widths.items():
                shape = (self._count(name) // width, width)
                blank = np.zeros(shape, _TYPES[name])
                file = self._file(name)
                self._mapped[name] = blank if 0 in shape else np.memmap(file, _TYPES[name], "r", shape=shape)
            if "lengths" in self._mapped:
                self._starts = np.concatenate([[0], np.cumsum(self._mapped["lengths"][:, 0])])
        return self._mapped

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.bin"

    def _count(self, name: str) -> int:
        rows = self.done if name in ("pooled", "lengths") else self._positions
        return rows * self._widths.get(name, 0)


class KnownFeatures:
    """Features by row, from files that several processes wrote.

    Args:
        parts: Files; row number k of the order is the row k // len(parts) of part k % len(parts).
        order: (M,) indices of the rows that are stored.
        rows: N.
    """

    def __init__(self, parts: Sequence[FeatureFiles], order: np.ndarray, rows: int) -> None:
        self._parts = list(parts)
        self._place = np.full(rows, -1, np.int64)
        self._place[order] = np.arange(len(order))
        self._widths = next(part.widths for part in parts if part.done)

    @property
    def size(self) -> int:
        """Bytes that are stored."""
        return sum(part.size for part in self._parts)

    def rows(self, index: np.ndarray) -> dict[str, Tensor]:
        """Features of rows, zeros for those that are not stored.

        Args:
            index: (B,) indices of rows.

        Returns:
            `pooled` (B, D) and, where they are stored, `dense` (B, P, E) and `mask` (B, P).
        """
        place = self._place[index]
        pooled = np.zeros((len(index), self._widths["pooled"]), np.float32)
        for k, part in enumerate(self._parts):
            mine = (place >= 0) & (place % len(self._parts) == k)
            if mine.any():
                pooled[mine] = part.pooled(place[mine] // len(self._parts))
        found = {"pooled": torch.from_numpy(pooled)}
        if "dense" not in self._widths:
            return found
        each = [self._dense(int(p)) for p in place]
        longest = max(1, *(len(dense) for dense, _ in each))
        dense_BPE = np.zeros((len(index), longest, self._widths["dense"]), np.float32)
        mask_BP = np.zeros((len(index), longest), bool)
        for row, (dense, mask) in enumerate(each):
            dense_BPE[row, : len(dense)] = dense
            mask_BP[row, : len(dense)] = True if mask is None else mask
        found["dense"] = torch.from_numpy(dense_BPE)
        return {**found, "mask": torch.from_numpy(mask_BP)} if "mask" in self._widths else found

    def _dense(self, place: int) -> tuple[np.ndarray, np.ndarray | None]:
        if place < 0:
            return np.zeros((0, self._widths["dense"]), np.float32), None
        return self._parts[place % len(self._parts)].dense(place // len(self._parts))


def _ends(mask: np.ndarray) -> np.ndarray:
    """Number of positions up to the last one that exists, per row."""
    return np.where(mask.any(1), mask.shape[1] - (mask[:, ::-1] != 0).argmax(1), 0)
