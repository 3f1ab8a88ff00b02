"""The exact search, one place for all: a look at every row; and the share of it that something else finds.

Axis letters: Q questions, N rows, D width, k neighbours.
"""

from collections.abc import Sequence

import numpy as np

_TILE = 1 << 24  # similarities held at once
_TIE = 1e-5  # rows as near as the k-th, but for rounding, are as good


def nearest(asked_QD: np.ndarray, z_ND: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(Q, k) rows and (Q, k) inner products, nearest first; fewer columns where there are fewer rows."""
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
    """The share of the k nearest that was found, a mean over questions.

    found: for each question the true similarities of what was found. true_Qk: those of the exact search. A row as near
    as the k-th counts, so that ties cost nothing.
    """
    k = true_Qk.shape[1]
    shares = [min(k, int((some >= true[-1] - _TIE).sum())) / k for some, true in zip(found, true_Qk, strict=True)]
    return float(np.mean(shares))
