"""Graph files in a folder, one row per file."""

from pathlib import Path

from kontrast.data.sources import named_rows
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame

SUFFIXES = {".graphml", ".gml", ".gexf", ".edgelist", ".edges", ".adjlist", ".net"}


class GraphFiles(SourceReader):
    """A folder of graph files, with or without subfolders for classes and for train and test.

    Columns: `graph`, the path relative to the folder, which is also the row's id; `split` and `label` as for pictures.
    """

    order = 68
    reads = "a folder of graph files"

    def claims(self, data: object) -> bool:
        """A folder with a graph file anywhere in it, or one graph file."""
        return named_rows.holds(data, SUFFIXES)

    def open(self, data: object, cache: Path | None) -> Frame:
        """The paths of the files, sorted; the files stay closed."""
        assert isinstance(data, Path)
        return named_rows.opened(data, SUFFIXES, "graph")
