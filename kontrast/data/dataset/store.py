"""The cached rows of one field: packed on disk and memory-mapped, or decoded when asked for where the disk is too
small.

Axis letters: N rows, M of them that have the field, B asked for, L length of a row on its first axis.
"""

import json
import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

import numpy as np

_BUFFER = 8_000_000  # bytes gathered before they are written


class Store(ABC):
    """What `Modality.pack` gave of every row, by row number. `has`: (N,) bool, which rows have the field."""

    has: np.ndarray

    def __len__(self) -> int:
        return len(self.has)

    @abstractmethod
    def rows(self, index: Sequence[int] | np.ndarray) -> Sequence[np.ndarray]:
        """Those rows, which must have the field: one array (B, L, ...) where all rows of the field have one length,
        else a list.
        """

    @abstractmethod
    def lengths(self, index: Sequence[int] | np.ndarray) -> np.ndarray:
        """(B,) how long each of those rows is on its first axis; 0 where only decoding it would tell."""


class Packed(Store):
    """Values one row after the other in one memory-mapped file, and where each row ends."""

    def __init__(self, folder: Path) -> None:
        facts = json.loads((folder / "store.json").read_text(encoding="utf8"))
        self.has = np.load(folder / "has.npy")
        self._lengths = lengths = np.load(folder / "lengths.npy", mmap_mode="r")
        # row -> place among the M rows; eight bytes a row that are only needed where some lack the field
        self._place = None if self.has.all() else np.cumsum(self.has) - 1
        uniform = len(lengths) > 0 and bool((lengths == lengths[0]).all())
        self._ends = None if uniform else np.cumsum(lengths)
        shape = (int(lengths.sum()), *facts["trailing"])
        values = (
            np.empty(shape, facts["dtype"])
            if 0 in shape
            else np.memmap(folder / "values.bin", facts["dtype"], "r", shape=shape)
        )
        self._values = np.asarray(values)
        self._block = self._values.reshape(len(lengths), *((int(lengths[0]), *facts["trailing"]))) if uniform else None

    def rows(self, index: Sequence[int] | np.ndarray) -> Sequence[np.ndarray]:
        """Copies in one block; views into the mapped file where lengths differ."""
        index = np.asarray(index, dtype=np.int64)
        assert self.has[index].all(), "a row without the field was asked for"
        place = index if self._place is None else self._place[index]
        if self._block is not None:
            return cast(Sequence[np.ndarray], self._block[place])
        assert self._ends is not None
        starts = np.where(place > 0, self._ends[place - 1], 0)
        return [self._values[a:b] for a, b in zip(starts, self._ends[place], strict=True)]

    def lengths(self, index: Sequence[int] | np.ndarray) -> np.ndarray:
        """As they were written."""
        rows = np.asarray(index, dtype=np.int64)
        return np.asarray(self._lengths[rows if self._place is None else self._place[rows]])


class OnDemand(Store):
    """Rows that are decoded again each time, by a few threads: slow, but it needs no disk."""

    def __init__(self, has: np.ndarray, decode: Callable[[int], np.ndarray], threads: int | None = None) -> None:
        self.has, self._decode = has, decode
        self._threads = threads or os.cpu_count() or 1

    def rows(self, index: Sequence[int] | np.ndarray) -> Sequence[np.ndarray]:
        """Decoded now, in the order asked for."""
        index = np.asarray(index, dtype=np.int64)
        assert self.has[index].all(), "a row without the field was asked for"
        with ThreadPoolExecutor(self._threads) as pool:
            rows = list(pool.map(self._decode, index.tolist()))
        equal = rows and len({row.shape for row in rows}) == 1
        return cast(Sequence[np.ndarray], np.stack(rows)) if equal else rows

    def lengths(self, index: Sequence[int] | np.ndarray) -> np.ndarray:
        """Not known."""
        return np.zeros(len(index), dtype=np.int64)


class Writer:
    """Appends rows to a new folder in bounded memory; `close` completes it, and `Packed` opens it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._file: BinaryIO = (folder / "values.bin").open("wb", buffering=_BUFFER)
        self._has, self._lengths = array("b"), array("q")
        self._kind: tuple[str, tuple[int, ...]] | None = None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, row: np.ndarray | None) -> None:
        """The next row, or None where it lacks the field."""
        self._has.append(row is not None)
        if row is None:
            return
        kind = (row.dtype.str, row.shape[1:])
        if self._kind is None:
            self._kind = kind
        assert kind == self._kind, f"pack gave {kind} after {self._kind}: one dtype and one trailing shape for all rows"
        self._lengths.append(len(row))
        self._file.write(np.ascontiguousarray(row).data if row.size else b"")

    def close(self) -> None:
        """Values to disk, then what is needed to find them again."""
        self._file.close()
        dtype, trailing = self._kind or ("<f4", ())
        np.save(self._folder / "has.npy", np.array(self._has, dtype=bool))
        np.save(self._folder / "lengths.npy", np.array(self._lengths, dtype=np.int64))
        facts = {"dtype": dtype, "trailing": list(trailing)}
        (self._folder / "store.json").write_text(json.dumps(facts), encoding="utf8")
