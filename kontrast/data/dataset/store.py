"""Cached rows of a field: packed in a memory-mapped file, or decoded on demand.

Rows are decoded on demand if the disk is too small. Axis letters: N rows, M of them with the field, B requested rows, L
length of a row on its first axis.
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

_BUFFER = 8_000_000  # bytes buffered per write


class Store(ABC):
    """Packed values of a field (`Modality.pack`) by row.

    Attributes:
        has: (N,) bool, rows that have the field.
    """

    has: np.ndarray

    def __len__(self) -> int:
        return len(self.has)

    @abstractmethod
    def rows(self, index: Sequence[int] | np.ndarray) -> Sequence[np.ndarray]:
        """Values of rows that have the field.

        Args:
            index: (B,) ints, indices of the rows.

        Returns:
            An array (B, L, ...) if all rows have equal length, else a list of arrays.
        """

    @abstractmethod
    def lengths(self, index: Sequence[int] | np.ndarray) -> np.ndarray:
        """Lengths of rows on their first axis: (B,) int64; 0 if only decoding would tell."""


class Packed(Store):
    """Store in a folder: all values in a memory-mapped file, with row lengths.

    Args:
        folder: Written by `Writer`.
    """

    def __init__(self, folder: Path) -> None:
        facts = json.loads((folder / "store.json").read_text(encoding="utf8"))
        self.has = np.load(folder / "has.npy")
        self._lengths = lengths = np.load(folder / "lengths.npy", mmap_mode="r")
        # row -> index among the M rows; eight bytes per row, needed only if some rows lack the field
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
        """Values of rows: one copied block, or views into the mapped file if lengths differ."""
        index = np.asarray(index, dtype=np.int64)
        assert self.has[index].all(), "a row without the field was asked for"
        place = index if self._place is None else self._place[index]
        if self._block is not None:
            return cast(Sequence[np.ndarray], self._block[place])
        assert self._ends is not None
        starts = np.where(place > 0, self._ends[place - 1], 0)
        return [self._values[a:b] for a, b in zip(starts, self._ends[place], strict=True)]

    def lengths(self, index: Sequence[int] | np.ndarray) -> np.ndarray:
        """Lengths of rows as written: (B,) int64."""
        rows = np.asarray(index, dtype=np.int64)
        return np.asarray(self._lengths[rows if self._place is None else self._place[rows]])


class OnDemand(Store):
    """Store that decodes rows at each request, in threads: slow, but needs no disk.

    Args:
        has: (N,) bool, rows that have the field.
        decode: Row -> packed value.
        threads: Number of threads. None takes the number of CPUs. Default: None.
    """

    def __init__(self, has: np.ndarray, decode: Callable[[int], np.ndarray], threads: int | None = None) -> None:
        self.has, self._decode = has, decode
        self._threads = threads or os.cpu_count() or 1

    def rows(self, index: Sequence[int] | np.ndarray) -> Sequence[np.ndarray]:
        """Decodes rows, in the order requested."""
        index = np.asarray(index, dtype=np.int64)
        assert self.has[index].all(), "a row without the field was asked for"
        with ThreadPoolExecutor(self._threads) as pool:
            rows = list(pool.map(self._decode, index.tolist()))
        equal = rows and len({row.shape for row in rows}) == 1
        return cast(Sequence[np.ndarray], np.stack(rows)) if equal else rows

    def lengths(self, index: Sequence[int] | np.ndarray) -> np.ndarray:
        """Zeros, since lengths are unknown before decoding: (B,) int64."""
        return np.zeros(len(index), dtype=np.int64)


class Writer:
    """Appends rows to a new folder in bounded memory.

    `close` completes the folder, and `Packed` opens it.

    Args:
        folder: Created; must not exist.
    """

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
        """Appends a row; None if it lacks the field."""
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
        """Writes the values and the files that locate them."""
        self._file.close()
        dtype, trailing = self._kind or ("<f4", ())
        np.save(self._folder / "has.npy", np.array(self._has, dtype=bool))
        np.save(self._folder / "lengths.npy", np.array(self._lengths, dtype=np.int64))
        facts = {"dtype": dtype, "trailing": list(trailing)}
        (self._folder / "store.json").write_text(json.dumps(facts), encoding="utf8")
