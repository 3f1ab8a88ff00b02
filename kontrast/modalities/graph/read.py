"""Reads graphs: records of edges, and files that networkx reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kontrast.core.errors import Unreadable
from kontrast.data.schema import file_tree
from kontrast.data.sources.graph_files import SUFFIXES
from kontrast.data.sources.graph_records import graph_record, is_graph
from kontrast.modalities.graph.raw_graph import RawGraph, raw_graph

EDGES = ("edges", "edge_index")
_NODES = ("nodes", "num_nodes")
_LABELS = ("labels", "node_labels", "node_label")
_FEATURES = ("x", "features", "node_features")
_TIE_LABELS = ("edge_labels", "edge_label")
_TIE_FEATURES = ("edge_features", "edge_attr", "weights", "edge_weight")


def read(cell: Any, folder: Path) -> RawGraph:
    """Reads a graph from a cell.

    Args:
        cell: A record of `edges` and, where there are any, `nodes` (their number, or a list of their labels), `labels`,
            `x`, `edge_labels` and `edge_features`; a networkx or torch_geometric graph; the path of a graph file.
        folder: Paths are relative to it.

    Raises:
        Unreadable: with the reason.
    """
    if isinstance(cell, Mapping):
        return _of_record(cell)
    if isinstance(cell, str):
        return _of_record(graph_record(_from_file(cell, folder)))
    if is_graph(cell):
        return _of_record(graph_record(cell))
    raise Unreadable(f"is {type(cell).__name__}; expected a record of edges, a networkx graph or a graph file")


def _of_record(record: Mapping[str, Any]) -> RawGraph:
    def part(names: tuple[str, ...]) -> Any:
        return next((record[name] for name in names if record.get(name) is not None), None)

    edges, nodes, labels = part(EDGES), part(_NODES), part(_LABELS)
    if edges is None:
        raise Unreadable(f"is a record of {', '.join(map(str, record)) or 'nothing'}; expected `edges` in it")
    if nodes is not None and not isinstance(nodes, int):
        labels, nodes = (nodes if labels is None else labels), len(nodes)
    return raw_graph(
        nodes,
        edges,
        labels=labels,
        features=part(_FEATURES),
        tie_labels=part(_TIE_LABELS),
        tie_features=part(_TIE_FEATURES),
    )


def _from_file(name: str, folder: Path) -> Any:
    """The networkx graph of a file."""
    import networkx as nx

    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise Unreadable(f"is a string; expected the name of a file ending in {', '.join(sorted(SUFFIXES))}")
    readers = {
        ".graphml": nx.read_graphml,
        ".gml": lambda path: nx.read_gml(path, label="id"),
        ".gexf": nx.read_gexf,
        ".net": nx.read_pajek,
        ".adjlist": nx.read_adjlist,
    }
    path = file_tree.locate(folder, name)
    try:
        return readers.get(suffix, nx.read_edgelist)(path)
    except OSError as error:
        raise Unreadable(f"cannot be opened ({error.strerror})") from None
    except Exception as error:  # each of these parsers fails in ways of its own
        raise Unreadable(f"is no {suffix} file that networkx reads ({type(error).__name__}: {error})") from None
