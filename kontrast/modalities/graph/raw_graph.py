"""A graph as it was read, whatever it was written as."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kontrast.core.errors import Unreadable

_LARGEST = 2**31 - 1


@dataclass(frozen=True, eq=False)
class RawGraph:
    """One graph.

    Axis letters: N nodes, E edges (each once), F and G features.

    Attributes:
        edges_E2: (E, 2) int64, both ends of each edge, the smaller first; no loops, none twice.
        labels: A label per node; None if nodes have none.
        x_NF: (N, F) float64, numbers of each node; F may be 0.
        tie_labels: A label per edge; None if edges have none.
        ties_EG: (E, G) float64, numbers of each edge; G may be 0.
    """

    edges_E2: np.ndarray
    labels: list[str] | None
    x_NF: np.ndarray
    tie_labels: list[str] | None
    ties_EG: np.ndarray

    def __len__(self) -> int:
        return len(self.x_NF)


def raw_graph(
    nodes: int | None,
    edges: Any,
    *,
    labels: Sequence[Any] | None = None,
    features: Any = None,
    tie_labels: Sequence[Any] | None = None,
    tie_features: Any = None,
) -> RawGraph:
    """Checks the parts of a graph and brings its edges into order.

    Args:
        nodes: Number of nodes; None: as many as labels or features say, or the edges reach.
        edges: (E, 2) or (2, E) whole numbers, counted from 0. An edge that is given in both directions counts once,
            with the features of the first; loops are left out.
        labels: A label per node.
        features: (N,) or (N, F) numbers per node.
        tie_labels: A label per edge, in the order of `edges`.
        tie_features: (E,) or (E, G) numbers per edge.

    Raises:
        Unreadable: no node, edges that are no pairs of nodes, or parts of differing length.
    """
    pairs = _pairs(edges)
    given = [len(part) for part in (labels, features) if part is not None]
    reached = int(pairs.max()) + 1 if len(pairs) else 0
    N = nodes if nodes is not None else max([*given, reached])
    if N == 0:
        raise Unreadable("has no node")
    if any(n != N for n in given):
        raise Unreadable(f"has {N} nodes, but {min(given)} labels or features of nodes")
    if len(pairs) and (reached > N or int(pairs.min()) < 0):
        wrong = int(pairs.max()) if reached > N else int(pairs.min())
        raise Unreadable(f"has an edge at node {wrong}, and {N} nodes, counted from 0")
    for part in (tie_labels, tie_features):
        if part is not None and len(part) != len(pairs):
            raise Unreadable(f"has {len(pairs)} edges, but {len(part)} labels or features of edges")
    kept = _once(pairs)
    x_NF = _numbers(features, N, "nodes")
    ties = _numbers(tie_features, len(pairs), "edges")
    return RawGraph(
        np.sort(pairs[kept], 1),
        None if labels is None else [str(label) for label in labels],
        x_NF,
        None if tie_labels is None else [str(tie_labels[k]) for k in kept],
        ties[kept],
    )


def _pairs(edges: Any) -> np.ndarray:
    """(E, 2) int64."""
    try:
        array = np.asarray(edges if len(edges) else np.zeros((0, 2)))
        array = array if array.dtype.kind in "biuf" else np.stack([np.asarray(one) for one in edges])
    except (TypeError, ValueError):
        raise Unreadable("has edges of another form than pairs of node numbers") from None
    if array.ndim != 2 or 2 not in array.shape:
        raise Unreadable(f"has edges of shape {' x '.join(map(str, array.shape))}; expected pairs of node numbers")
    pairs = array if array.shape[1] == 2 else array.T
    whole = pairs.astype(np.int64)
    if (whole != pairs).any() or (len(whole) and whole.max() > _LARGEST):
        raise Unreadable("has edges between numbers that are no nodes; expected whole numbers, counted from 0")
    return whole


def _once(pairs: np.ndarray) -> np.ndarray:
    """Places of the edges that are kept: no loops, and each pair of nodes once, in the order in which they come."""
    low, high = np.sort(pairs, 1).T if len(pairs) else (np.zeros(0, np.int64),) * 2
    apart = np.flatnonzero(low != high)
    _, first = np.unique((low << 32 | high)[apart], return_index=True)
    return apart[np.sort(first)]


def _numbers(values: Any, rows: int, what: str) -> np.ndarray:
    """(rows, F) float64; F is 0 without values."""
    if values is None:
        return np.zeros((rows, 0))
    try:
        array = np.asarray(values, np.float64)
        array = np.stack([np.asarray(one, np.float64) for one in values]) if array.dtype == object else array
    except (TypeError, ValueError):
        raise Unreadable(f"has features of {what} that are not one row of numbers each") from None
    return array.reshape(rows, -1)
