"""Graph data sets in a .npz archive."""

import zipfile
from pathlib import Path

import numpy as np

from kontrast.core.errors import UserError
from kontrast.data.sources.graph_rows import graph_column, labelled
from kontrast.data.sources.python_values import frame_of
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables import numpy_file
from kontrast.data.tables.frame import Frame

_OWNER = ("graph_id", "batch", "graph_indicator")
_PARTS = {"labels": ("node_label", "node_labels"), "x": ("x", "node_features", "node_attr")}
_TIES = {"edge_labels": ("edge_label", "edge_labels"), "edge_features": ("edge_attr", "edge_features")}


class GraphArchive(SourceReader):
    """A .npz with `edge_index` over all graphs and `graph_id`, the graph of each node.

    Further arrays with an entry per node (`node_label`, `x`) or edge (`edge_label`, `edge_attr`) are what these carry;
    arrays with an entry per graph (`y`) are columns.
    """

    order = 25
    reads = ".npz of graphs"

    def claims(self, data: object) -> bool:
        """Claims .npz files that hold these two arrays."""
        if not (isinstance(data, Path) and data.suffix.lower() == ".npz" and data.is_file()):
            return False
        try:
            with zipfile.ZipFile(data) as opened:
                names = {name.removesuffix(".npy") for name in opened.namelist()}
        except (zipfile.BadZipFile, OSError):
            return False
        return "edge_index" in names and bool(names & set(_OWNER))

    def open(self, data: object, cache: Path | None) -> Frame:
        """Reads all arrays into memory."""
        assert isinstance(data, Path)
        arrays = numpy_file.archive(data)
        edges, owner = arrays.pop("edge_index"), next(arrays.pop(name) for name in _OWNER if name in arrays)
        edges = edges.T if edges.shape[0] == 2 else edges
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu" or owner.ndim != 1:
            raise UserError(f"{data}: expected edge_index (2, E) of whole numbers, and one graph_id per node.")
        parts = {to: arrays.pop(n) for to, names in _PARTS.items() for n in names if n in arrays}
        ties = {to: arrays.pop(n) for to, names in _TIES.items() for n in names if n in arrays}
        for name, part, rows in [
            *((n, p, len(owner)) for n, p in parts.items()),
            *((n, t, len(edges)) for n, t in ties.items()),
        ]:
            if len(part) != rows:
                raise UserError(f"{data}: {name} has {len(part):,} entries; expected {rows:,}.")
        graphs, names = graph_column(edges.astype(np.int64), owner, parts=parts, ties=ties)
        rest = {name: labelled(names, array) for name, array in arrays.items() if array.ndim}
        return frame_of({"graph": graphs, **rest}, data.name, data.parent)
