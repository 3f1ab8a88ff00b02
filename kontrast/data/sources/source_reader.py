"""Contract of a source: where rows come from, and how they become a Frame."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from kontrast.data.tables.frame import Frame


class SourceReader(ABC):
    """Reader of one kind of file, folder, database or Python object; derive from it to add a kind.

    Attributes:
        order: Readers are asked in this order, lowest first, and the first that claims the data opens it; a special one
            (a folder of UCR files) is asked before a general one (any folder).
        reads: What it reads, for the message that no reader claims the data.
    """

    ROOM = "sources"

    order: ClassVar[int] = 50
    reads: ClassVar[str]

    @abstractmethod
    def claims(self, data: object) -> bool:
        """Whether this reader opens such data; looks at names and first bytes only.

        Args:
            data: Paths are `Path` and may not exist (a stem), addresses (`sqlite:shop.db#...`) are `str`.
        """

    @abstractmethod
    def open(self, data: object, cache: Path | None) -> Frame:
        """Opens the rows; nothing is decoded.

        Args:
            data: What `claims` accepted.
            cache: Folder for tables that must be rewritten to be memory-mapped; None holds them in memory.

        Returns:
            All rows.

        Raises:
            UserError: damaged data, or data that has no rows of this kind.
        """
