"""The contract of a search engine: tables of records, each with a vector, asked for the nearest. One file each in
`engines/`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from kontrast.search.where import Term


def vectors(records: pa.Table) -> np.ndarray:
    """(N, D) float32, contiguous: the records' vectors."""
    column = records["vector"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat, np.float32).reshape(-1, column.type.list_size)


def inverted(records: int) -> tuple[int, list[int]]:
    """Of inverted lists (IVF) for a number of records: how many lists, and how many of them to look into, in steps."""
    lists = max(1, round(records**0.5))
    return lists, [*(8 * 2**i for i in range(16) if 8 * 2**i < lists), lists]


class Engine(ABC):
    """Keeps tables of records: `id`, `field`, `label`, the metadata as `c0`, `c1`, ..., and `vector`, float32 of length
    one.

    Constructor parameters are settings and go to index.json; `folder` is the index's own, given by it. No secret is a
    setting: passwords and keys come from the environment. An index is one set of tables, `tables`, so that a rebuild
    writes a new set beside the old; `space` is one of them. Filters come as checked trees (`where.py`).
    """

    ROOM = "engines"

    @abstractmethod
    def create(self, tables: str, space: str, records: pa.Table, approximate: bool) -> Sequence[int]:
        """A new table. Approximate: with an index that need not find all; the reaches to try, the cheapest first.
        Else nothing."""

    @abstractmethod
    def nearest(
        self,
        tables: str,
        space: str,
        vector: np.ndarray,
        k: int,
        *,
        where: Term | None = None,
        reach: int | None = None,
    ) -> pa.Table:
        """The k records nearest to a vector (D,) of length one, less their vectors, with `similarity`, in any order.

        where: among those only; as many as there are, up to k, whatever the reach. reach: how widely an approximate
        index is searched; None: all is looked at.
        """

    @abstractmethod
    def change(self, tables: str, space: str, gone: Term | None, records: pa.Table | None) -> None:
        """The records that `gone` describes leave, then these come, in one step: a reader sees both or neither."""

    @abstractmethod
    def matching(self, tables: str, space: str, where: Term) -> list[str]:
        """The ids of the records that a filter describes."""

    @abstractmethod
    def count(self, tables: str, space: str) -> int:
        """How many records there are."""

    @abstractmethod
    def holds(self, tables: str, space: str) -> bool:
        """Whether that table is there."""

    @abstractmethod
    def forget(self, tables: str) -> None:
        """A whole set of tables, or what there is of it, is removed."""
