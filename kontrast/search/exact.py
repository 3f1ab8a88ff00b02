"""Exact nearest-neighbour search, and the recall of other searches against it.

Axis letters: Q queries, N rows, D width, k neighbours.
"""

from collections.abc import Sequence

import numpy as np

_TILE = 1 << 24  # similarities held in memory at a time
_TIE = 1e-5  # tolerance for rounding when a row ties with the k-th neighbour


def nearest(asked_QD: np.ndarray, z_ND: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k rows with the largest inner product for each query.

    Args:
        asked_QD: Queries, (Q, D).
        z_ND: Rows to search, (N, D).
        k: Number of neighbours; capped at N.

    Returns:
        Row numbers (Q, k) and inner products (Q, k), nearest first.
    """
    k = min(k, len(z_ND))
    rows, similarities = [np.zeros((0, k), np.int64)], [np.zeros((0, k), np.float32)]
    size = max(1, _TILE // max(1, len(z_ND)))
    for start in range(0, len(asked_QD), size):
        s_QN = asked_QD[start : start + size] @ z_ND.T
        near = np.argpartition(-s_QN, k - 1, axis=1)[:, :k] if k else np.zeros((len(s_QN), 0), np.int64)
        order = np.argsort(-np.take_along_axis(s_QN, near, 1), axis=1, kind="stable")
        rows.append(np.take_along_axis(near, order, 1))
        similarities.append(np.take_along_axis(s_QN, rows[-1], 1))
    return np.concatenate(rows), np.concatenate(similarities)


def recall(found: Sequence[np.ndarray], true_Qk: np.ndarray) -> float:
    """Share of the k nearest neighbours that a search found, averaged over queries.

    Args:
        found: Per query, the true similarities of the rows that were found.
        true_Qk: Similarities found by the exact search, (Q, k).

    Returns:
        Recall in [0, 1]. A row as near as the k-th neighbour counts as found, so ties cost nothing.
    """
    k = true_Qk.shape[1]
    shares = [min(k, int((some >= true[-1] - _TIE).sum())) / k for some, true in zip(found, true_Qk, strict=True)]
    return float(np.mean(shares))
