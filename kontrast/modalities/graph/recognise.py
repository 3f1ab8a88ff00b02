"""Columns of graphs: records of edges, and names of graph files."""

from pathlib import Path

import pyarrow.types as types

from kontrast.data.schema.column import Claim, Column
from kontrast.data.schema.named_files import named_files
from kontrast.data.sources.graph_files import SUFFIXES
from kontrast.modalities.graph.read import EDGES


def recognise(column: Column) -> Claim | None:
    """Says why a column holds graphs."""
    kind = column.type
    if kind is not None and types.is_struct(kind):
        return Claim("records of edges") if {field.name for field in kind} & set(EDGES) else None
    return named_files(column, _is_graph_file, "graph") if column.strings else None


def _is_graph_file(cell: str) -> bool:
    return Path(cell).suffix.lower() in SUFFIXES
