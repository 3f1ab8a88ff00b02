"""Cached rows of a field: packed in a memory-mapped file, or decoded on demand.

Rows are decoded on demand if the disk is too small. Axis letters: N rows, M of them with the field, B requested rows, L
length of a row on its first axis.
"""

import json
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

import numpy as np

from kontrast.data.packed_row import PackedRow, arrays
from kontrast.data.store import Store

_BUFFER = 8_000_000  # bytes buffered per write


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


class Named(Store):
    """Store in a folder whose rows are several arrays by name, each in a store of its own.

    Args:
        folder: Written by `Writer`.
        names: Names of the arrays, in the order of the folders inside.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._parts = {name: Packed(folder / str(place)) for place, name in enumerate(names)}
        self._first = next(iter(self._parts.values()))
        self.has = self._first.has

    def rows(self, index: Sequence[int] | np.ndarray) -> Sequence[PackedRow]:
        """Rows as dictionaries of arrays."""
        columns = [part.rows(index) for part in self._parts.values()]
        return [dict(zip(self._parts, row, strict=True)) for row in zip(*columns, strict=True)]

    def lengths(self, index: Sequence[int] | np.ndarray) -> np.ndarray:
        """Lengths of the first array of each row: (B,) int64."""
        return self._first.lengths(index)


def opened(folder: Path) -> Store:
    """The store that `Writer` wrote to a folder."""
    names = json.loads((folder / "store.json").read_text(encoding="utf8")).get("names")
    return Named(folder, names) if names else Packed(folder)


class OnDemand(Store):
    """Store that decodes rows at each request, in threads: slow, but needs no disk.

    Args:
        has: (N,) bool, rows that have the field.
        decode: Row -> packed value.
        threads: Number of threads. None takes the number of CPUs. Default: None.
    """

    def __init__(self, has: np.ndarray, decode: Callable[[int], PackedRow], threads: int | None = None) -> None:
        self.has, self._decode = has, decode
        self._threads = threads or os.cpu_count() or 1

    def rows(self, index: Sequence[int] | np.ndarray) -> Sequence[PackedRow]:
        """Decodes rows, in the order requested."""
        index = np.asarray(index, dtype=np.int64)
        assert self.has[index].all(), "a row without the field was asked for"
        with ThreadPoolExecutor(self._threads) as pool:
            rows = list(pool.map(self._decode, index.tolist()))
        single = [row for row in rows if isinstance(row, np.ndarray)]
        equal = len({row.shape for row in single}) == 1 and len(single) == len(rows)
        return cast(Sequence[PackedRow], np.stack(single)) if equal else rows

    def lengths(self, index: Sequence[int] | np.ndarray) -> np.ndarray:
        """Zeros, since lengths are unknown before decoding: (B,) int64."""
        return np.zeros(len(index), dtype=np.int64)


class Writer:
    """Appends rows to a new folder in bounded memory.

    `close` completes the folder, and `opened` opens it. The first row decides whether rows are single arrays or several
    by name, for which there are folders inside.

    Args:
        folder: Created; must not exist.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._file: BinaryIO = (folder / "values.bin").open("wb", buffering=_BUFFER)
        self._has, self._lengths = array("b"), array("q")
        self._kind: tuple[str, tuple[int, ...]] | None = None
        self._parts: dict[str, Writer] = {}

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, row: PackedRow | None) -> None:
        """Appends a row; None if it lacks the field."""
        if isinstance(row, Mapping) and not self._parts:
            self._parts = {name: Writer(self._folder / str(place)) for place, name in enumerate(row)}
            for _ in self._has:  # the rows before lack the field
                self._append_parts(None)
        self._has.append(row is not None)
        if self._parts:
            self._append_parts(None if row is None else arrays(row))
        elif row is not None:
            assert isinstance(row, np.ndarray)
            self._append(row)

    def _append_parts(self, row: Mapping[str, np.ndarray] | None) -> None:
        assert row is None or list(row) == list(self._parts), f"pack gave {row and list(row)} after {list(self._parts)}"
        for name, part in self._parts.items():
            part.append(None if row is None else row[name])

    def _append(self, row: np.ndarray) -> None:
        kind = (row.dtype.str, row.shape[1:])
        if self._kind is None:
            self._kind = kind
        assert kind == self._kind, f"pack gave {kind} after {self._kind}: one dtype and one trailing shape for all rows"
        self._lengths.append(len(row))
        self._file.write(np.ascontiguousarray(row).data if row.size else b"")

    def close(self) -> None:
        """Writes the values and the files that locate them."""
        self._file.close()
        if self._parts:
            for part in self._parts.values():
                part.close()
            facts = {"names": list(self._parts)}
            (self._folder / "store.json").write_text(json.dumps(facts), encoding="utf8")
            return
        dtype, trailing = self._kind or ("<f4", ())
        np.save(self._folder / "has.npy", np.array(self._has, dtype=bool))
        np.save(self._folder / "lengths.npy", np.array(self._lengths, dtype=np.int64))
        facts = {"dtype": dtype, "trailing": list(trailing)}
        (self._folder / "store.json").write_text(json.dumps(facts), encoding="utf8")
