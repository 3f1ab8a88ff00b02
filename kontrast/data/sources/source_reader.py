"""The contract of a source: one kind of thing that rows come from, and how it becomes a Frame. One each in sources/."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from kontrast.data.tables.frame import Frame


class SourceReader(ABC):
    """Knows one kind of file, folder or Python object.

    `order`: readers are asked in this order, lowest first, and the first that claims the data opens it; a reader of
    something special (a folder of UCR files) is asked before one of something general (any folder). `reads`: what it
    reads, for the message that nothing does.
    """

    ROOM = "sources"

    order: ClassVar[int] = 50
    reads: ClassVar[str]

    @abstractmethod
    def claims(self, data: object) -> bool:
        """Whether this is its kind. Paths come as `Path`, which may not exist (a stem), addresses
        (`sqlite:shop.db#...`) as `str`; looks at names and first bytes only.
        """

    @abstractmethod
    def open(self, data: object, cache: Path | None) -> Frame:
        """Its rows, nothing decoded. Tables that need rewriting to be memory-mapped are kept in `cache`; without one
        they are held in memory.
        """
