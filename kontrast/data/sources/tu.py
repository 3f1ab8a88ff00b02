"""Graph data sets in the text files of the TU collection."""

from pathlib import Path

import numpy as np

from kontrast.core import available_memory
from kontrast.core.errors import UserError
from kontrast.data.sources.graph_rows import graph_column, labelled
from kontrast.data.sources.python_values import frame_of
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame

_EDGES, _OWNER = "_A.txt", "_graph_indicator.txt"


class Tu(SourceReader):
    """A folder with NAME_A.txt, NAME_graph_indicator.txt and the further files of the TU collection.

    Columns: `graph` with labels or numbers of nodes and edges, and `label` (or `target`, if graphs carry numbers).
    """

    order = 15
    reads = "TU graph files"

    def claims(self, data: object) -> bool:
        """Claims folders with a NAME_A.txt and its NAME_graph_indicator.txt."""
        return isinstance(data, Path) and data.is_dir() and _stem(data) is not None

    def open(self, data: object, cache: Path | None) -> Frame:
        """Reads all files into memory."""
        assert isinstance(data, Path)
        stem = _stem(data)
        assert stem is not None
        edges, owner = _numbers(data / (stem + _EDGES)).astype(np.int64), _numbers(data / (stem + _OWNER))
        kinds = {"labels": "_node_labels.txt", "x": "_node_attributes.txt"}
        tie_kinds = {"edge_labels": "_edge_labels.txt", "edge_features": "_edge_attributes.txt"}
        parts = {name: part for name, end in kinds.items() if (part := _carried(data, stem + end, name)) is not None}
        ties = {name: part for name, end in tie_kinds.items() if (part := _carried(data, stem + end, name)) is not None}
        for what, found, expected in (("nodes", parts, len(owner)), ("edges", ties, len(edges))):
            for name, part in found.items():
                if len(part) != expected:
                    raise UserError(f"{data}: {len(part):,} {name} for {expected:,} {what}; expected one of each.")
        graphs, names = graph_column(edges.reshape(-1, 2) - 1, owner[:, 0], parts=parts, ties=ties)
        columns = {"graph": graphs}
        for name, end in (("label", "_graph_labels.txt"), ("target", "_graph_attributes.txt")):
            if (data / (stem + end)).is_file():
                values = labelled(names, _numbers(data / (stem + end)))
                columns[name] = [f"{v:g}" for v in values[:, 0]] if name == "label" else values[:, 0]
        return frame_of(columns, stem, data)


def _stem(folder: Path) -> str | None:
    found = [path.name.removesuffix(_EDGES) for path in folder.glob("*" + _EDGES)]
    return found[0] if len(found) == 1 and (folder / (found[0] + _OWNER)).is_file() else None


def _carried(folder: Path, file: str, name: str) -> np.ndarray | None:
    """What nodes or edges carry: labels as strings, numbers as they are; None without that file."""
    if not (folder / file).is_file():
        return None
    values = _numbers(folder / file)
    return np.array([f"{v:g}" for v in values[:, 0]]) if name.endswith("labels") else values.astype(np.float32)


def _numbers(path: Path) -> np.ndarray:
    """(lines, numbers) float64."""
    lines = available_memory.text(path, "expected lines of numbers as in the TU collection.").splitlines()
    try:
        return np.array([[float(cell) for cell in line.split(",")] for line in lines if line.strip()])
    except ValueError as error:
        raise UserError(f"{path}: {error}; expected lines of numbers with commas, all of one length.") from error
