"""Many graphs in a few arrays become a column of records, one per graph.

Axis letters: V graphs, N nodes of all graphs, E edges of all graphs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from kontrast.core.errors import UserError


def graph_column(
    edges_E2: np.ndarray, graph_N: np.ndarray, *, parts: Mapping[str, np.ndarray], ties: Mapping[str, np.ndarray]
) -> tuple[pa.ChunkedArray, np.ndarray]:
    """A column of records of `nodes`, `edges` and what nodes and edges carry.

    Args:
        edges_E2: (E, 2) ints, ends of edges as numbers of nodes over all graphs, counted from 0.
        graph_N: (N,) the graph of each node, in any order of nodes.
        parts: `labels` (N,) or `x` (N, F) of nodes.
        ties: `edge_labels` (E,) or `edge_features` (E, G) of edges.

    Returns:
        The column, and the (V,) names of its graphs, sorted.

    Raises:
        UserError: an edge between nodes of two graphs, or at a node that is not there.
    """
    N = len(graph_N)
    if len(edges_E2) and (edges_E2.min() < 0 or edges_E2.max() >= N):
        raise UserError(f"an edge ends at node {int(edges_E2.max())}, and there are {N:,} nodes, counted from 0.")
    names, graph_N = np.unique(graph_N, return_inverse=True)
    order = np.argsort(graph_N, kind="stable")
    sizes = np.bincount(graph_N, minlength=len(names))
    starts = np.cumsum(sizes) - sizes
    place_N = np.empty(N, np.int64)
    place_N[order] = np.arange(N) - np.repeat(starts, sizes)
    graph_E = graph_N[edges_E2[:, 0]]
    across = np.flatnonzero(graph_E != graph_N[edges_E2[:, 1]])
    if len(across):
        one, other = edges_E2[across[0]]
        raise UserError(f"edge {across[0]} joins nodes {one} and {other}, which belong to two graphs.")
    tie_order = np.argsort(graph_E, kind="stable")
    tie_sizes = np.bincount(graph_E, minlength=len(names))
    pairs = pa.FixedSizeListArray.from_arrays(pa.array(place_N[edges_E2[tie_order]].astype(np.int32).ravel()), 2)
    columns: dict[str, pa.Array] = {"nodes": pa.array(sizes.astype(np.int32)), "edges": _listed(pairs, tie_sizes)}
    columns |= {name: _listed(_plain(values[order]), sizes) for name, values in parts.items()}
    columns |= {name: _listed(_plain(values[tie_order]), tie_sizes) for name, values in ties.items()}
    return pa.chunked_array([pa.StructArray.from_arrays(list(columns.values()), list(columns))]), names


def _listed(values: pa.Array, sizes: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)), values)


def _plain(values: np.ndarray) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def labelled(names: np.ndarray, values: Any) -> Any:
    """Labels in the order of the graphs, if there is one for each.

    Raises:
        UserError: another number of labels.
    """
    if len(values) != len(names):
        raise UserError(f"there are {len(names):,} graphs and {len(values):,} labels; expected one per graph.")
    return values
