"""The contract of a search engine, which stores records with vectors and finds the nearest.

Each engine has its own file in `engines/`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from kontrast.search.where import Term


def vectors(records: pa.Table) -> np.ndarray:
    """Vectors of the records, (N, D) float32, contiguous."""
    column = records["vector"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat, np.float32).reshape(-1, column.type.list_size)


def inverted(records: int) -> tuple[int, list[int]]:
    """Sizes of an index of inverted lists (IVF) for a number of records.

    Returns:
        The number of lists, about the square root of `records`, and the numbers of lists to search, ascending.
    """
    lists = max(1, round(records**0.5))
    return lists, [*(8 * 2**i for i in range(16) if 8 * 2**i < lists), lists]


class Engine(ABC):
    """Stores records in tables and finds those nearest to a vector.

    A record has `id`, `field`, `label`, metadata as `c0`, `c1`, ..., and `vector`, float32 of length one.

    Constructor parameters are settings and are saved in index.json; `folder` is passed by the index. Secrets are never
    settings: passwords and keys come from the environment. An index is a set of tables named `tables`, so that a
    rebuild writes a new set beside the old one; `space` names a table in the set. Filters arrive as checked trees (see
    `where.py`).
    """

    ROOM = "engines"

    @abstractmethod
    def create(self, tables: str, space: str, records: pa.Table, approximate: bool) -> Sequence[int]:
        """Creates a table.

        Args:
            tables: Name of the set of tables.
            space: Name of the table in the set.
            records: The records to store.
            approximate: Whether to add an approximate index, which may miss neighbours.

        Returns:
            The reaches to try, cheapest first; empty for an exact table.
        """

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
        """Finds the k records nearest to a vector.

        Args:
            tables: Name of the set of tables.
            space: Name of the table in the set.
            vector: (D,), of length one.
            k: Number of records.
            where: Filter; min(k, matches) records are returned whatever the reach. None: no filter.
            reach: How widely an approximate index is searched. None: all records are compared.

        Returns:
            Records without `vector`, with `similarity`, in any order.
        """

    @abstractmethod
    def change(self, tables: str, space: str, gone: Term | None, records: pa.Table | None) -> None:
        """Atomically deletes the records that `gone` describes and adds `records`."""

    @abstractmethod
    def matching(self, tables: str, space: str, where: Term) -> list[str]:
        """Ids of the records that match a filter."""

    @abstractmethod
    def count(self, tables: str, space: str) -> int:
        """Number of records in a table."""

    @abstractmethod
    def holds(self, tables: str, space: str) -> bool:
        """Whether the table exists."""

    @abstractmethod
    def forget(self, tables: str) -> None:
        """Removes a set of tables, complete or not."""
