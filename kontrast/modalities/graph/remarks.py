"""What a user should know of graphs."""

from typing import Any

import numpy as np

from kontrast.data.remark import Remark, Rows

_ISOLATED = 0.05  # share of nodes without an edge from which on it is remarked
_SPREAD = 50  # largest graph in units of the median from which on it is remarked


def remarks(rows: Rows, labelled: bool) -> list[Remark]:
    """Nodes without edges, graphs without any, one very large graph, and graphs that carry nothing."""
    found = []
    nodes = np.array([len(row["nodes"]) for row in rows.packed])
    ties = [row["edges"] for row in rows.packed]
    empty = [k for k, edges in enumerate(ties) if not len(edges)]
    if empty:
        words = (
            f"{rows.field}: {len(empty)} of {len(ties)} graphs have no edge, so that only their nodes tell them apart."
        )
        found.append(Remark("graphs without edges", "note", words, {"graphs": len(empty)}, empty))
    alone = [n - len(np.unique(edges)) for n, edges in zip(nodes, ties, strict=True)]
    share = sum(alone) / max(int(nodes.sum()), 1)
    if share > _ISOLATED:
        words = f"{rows.field}: {share:.0%} of the nodes have no edge; no message reaches them."
        found.append(Remark("isolated nodes", "note", words, {"share": share}, np.flatnonzero(alone)))
    if nodes.max() > _SPREAD * np.median(nodes):
        words = (
            f"{rows.field}: the largest graph has {nodes.max():,} nodes, the median one {int(np.median(nodes)):,}; "
            "a batch needs the memory of its largest graphs."
        )
        found.append(Remark("very large graphs", "note", words, {"largest": int(nodes.max())}, [int(nodes.argmax())]))
    if not labelled:
        words = f"{rows.field}: nodes have neither labels nor features; their degrees are used instead."
        found.append(Remark("bare nodes", "fact", words))
    return found


def example(k: int) -> dict[str, Any]:
    """A ring with a tail: other sizes, labels and lengths of edges for other k."""
    ring, tail = 3 + k % 5, 1 + k % 3
    edges = [[i, (i + 1) % ring] for i in range(ring)] + [[ring + i - 1, ring + i] for i in range(tail)]
    n = ring + tail
    return {
        "nodes": n,
        "edges": edges,
        "labels": ["CNO"[(i * (1 + k % 4) + k) % 3] for i in range(n)],
        "edge_labels": ["single" if i % 2 else "double" for i in range(len(edges))],
        "x": [[float(i % 3), 0.1 * k] for i in range(n)],
    }
