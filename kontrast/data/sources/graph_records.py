"""Graphs of networkx and torch_geometric as plain records: nodes, edges, and what they carry."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_NAMED = ("element", "atom", "kind", "type", "label")  # attributes of nodes and edges that label them


def is_graph(value: Any) -> bool:
    """Whether a value is a graph of networkx or of torch_geometric, neither of which is imported for this."""
    classes = {f"{c.__module__.split('.')[0]}.{c.__name__}" for c in type(value).__mro__}
    return bool(classes & {"networkx.Graph", "torch_geometric.Data"})


def graph_record(graph: Any) -> dict[str, Any]:
    """Describes a graph by plain values.

    Args:
        graph: For which `is_graph` holds. Of networkx, the attributes that all nodes have are used: the first of
            element, atom, kind, type, label as label, numbers as features; likewise those of edges.

    Returns:
        `nodes` (their number), `edges` (pairs of node numbers), and where there are any `labels`, `x`, `edge_labels`
        and `edge_features`.
    """
    return _of_networkx(graph) if type(graph).__module__.startswith("networkx") else _of_geometric(graph)


def _of_networkx(graph: Any) -> dict[str, Any]:
    nodes = dict(graph.nodes(data=True))
    number = {node: k for k, node in enumerate(nodes)}
    ties = list(graph.edges(data=True))
    labels, x = _carried(list(nodes.values()))
    edge_labels, edge_features = _carried([attributes for *_, attributes in ties])
    edges = [[number[one], number[other]] for one, other, _ in ties]
    found = {"labels": labels, "x": x, "edge_labels": edge_labels, "edge_features": edge_features}
    return {"nodes": len(nodes), "edges": edges, **{name: v for name, v in found.items() if v is not None}}


def _carried(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str] | None, list[list[float]] | None]:
    """Labels and numbers among the attributes that all nodes or edges have."""
    if not rows:
        return None, None
    common = [name for name in rows[0] if all(name in row for row in rows)]
    label = next((name for name in _NAMED if name in common), None)
    numbers = [name for name in common if name != label and all(_is_numeric(row[name]) for row in rows)]
    features = [[float(v) for name in numbers for v in np.ravel(row[name])] for row in rows] if numbers else None
    return (None if label is None else [str(row[label]) for row in rows]), features


def _is_numeric(value: Any) -> bool:
    return (
        isinstance(value, int | float | list | tuple | np.ndarray | np.generic)
        and np.asarray(value).dtype.kind in "biuf"
    )


def _of_geometric(data: Any) -> dict[str, Any]:
    found = {"nodes": int(data.num_nodes), "edges": data.edge_index.T.tolist()}
    parts = {"x": data.x, "edge_features": data.edge_attr}
    return {**found, **{name: part.reshape(len(part), -1).tolist() for name, part in parts.items() if part is not None}}
