"""Near copies: rows so alike that one was most likely made from the other (saved again, cut by a pixel, one typo).

Axis letters: N rows, D features, K neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.data.dataset.store import Store
from kontrast.data.modality import Modality
from kontrast.doctor import spelling
from kontrast.doctor.nearest import nearest

MOST = 100_000  # rows compared; of more, every n-th
_SIDE = 16  # pixels
_BLOCK = 2_048
# A neighbour is a near copy where it is this alike, and so much nearer than the 10th neighbour that chance brings one
# row in ten thousand that near, and never beyond this share of the 10th neighbour's distance. `Near` tells what that
# finds and what it takes for a copy that is none.
_ALIKE, _CHANCE, _RATIO = 0.95, 1e-4, 0.35
_FEW, _ALIKE_OF_FEW = 5, 0.995  # so few neighbours say nothing of what is usual: then only likeness counts


@dataclass(frozen=True)
class Pairs:
    """Row numbers (P, 2), the smaller first within a field. compared: how many rows were."""

    rows: np.ndarray
    compared: int

    @property
    def groups(self) -> list[list[int]]:
        """Rows that hang together by pairs, the largest group first."""
        return groups(self.rows)


def groups(pairs: np.ndarray) -> list[list[int]]:
    """Rows that hang together by (P, 2) pairs, the largest group first."""
    leader: dict[int, int] = {}

    def root(row: int) -> int:
        while (up := leader.setdefault(row, row)) != row:
            leader[row] = row = leader.setdefault(up, up)
        return row

    for i, j in pairs.tolist():
        leader[root(i)] = root(j)
    found: dict[int, list[int]] = {}
    for row in sorted(leader):
        found.setdefault(root(row), []).append(row)
    return sorted(found.values(), key=lambda group: (-len(group), group[0]))


def within(modality: Modality, store: Store, content: np.ndarray, texts: list[str] | None) -> Pairs:
    """Near copies in one field. Of rows that are equal one is compared, and stands for all of them."""
    rows = _some(_distinct(content))
    if texts is not None:
        found = spelling.alike([texts[row] for row in rows], None)
    else:
        found = _close(_features(modality, store, rows), None)
    return Pairs(np.unique(np.sort(rows[found], 1), axis=0), len(rows))


def across(
    modalities: Sequence[Modality],
    stores: Sequence[Store],
    contents: Sequence[np.ndarray],
    texts: Sequence[list[str] | None],
) -> Pairs:
    """(row, other row): the one field of the first holds what the other field of the second does, or a near copy."""
    one, other = (_some(_distinct(content)) for content in contents)
    if texts[0] is not None and texts[1] is not None:
        found = spelling.alike([texts[0][row] for row in one], [texts[1][row] for row in other])
    else:
        x, y = (_features(*of) for of in zip(modalities, stores, (one, other), strict=True))
        # Other sizes of the same things are compared; features of other make (a longer series) cannot be.
        found = _close(x, y) if x.shape[1] == y.shape[1] else np.zeros((0, 2), np.int64)
    near = np.stack([one[found[:, 0]], other[found[:, 1]]], 1)
    return Pairs(np.unique(np.concatenate([_equal(*contents), near]), axis=0), len(one))


def _equal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(P, 2): each row with the first other row that holds the same; itself, where it does itself."""
    codes, first = np.unique(other, return_index=True)
    place = np.searchsorted(codes, one).clip(max=len(codes) - 1)
    hit = (codes[place] == one) & (one >= 0)
    match = np.where(one == other, np.arange(len(one)), first[place])
    return np.stack([np.flatnonzero(hit), match[hit]], 1)


def _distinct(content: np.ndarray) -> np.ndarray:
    """The first row of each content, in order."""
    codes, first = np.unique(content, return_index=True)
    return np.sort(first[codes >= 0])


def _some(rows: np.ndarray) -> np.ndarray:
    return rows[:: -(-len(rows) // MOST)] if len(rows) else rows


def _features(modality: Modality, store: Store, rows: np.ndarray) -> Tensor:
    """(N, D) of length one: pictures at 16 x 16 pixels less their mean, all else as its raw features."""
    parts = []
    for start in range(0, len(rows), _BLOCK):
        x = modality.collate(store.rows(rows[start : start + _BLOCK]))
        if x.dtype == torch.uint8 and x.ndim == 4:
            x = F.adaptive_avg_pool2d(x.float(), _SIDE)
            x = (x - x.mean((1, 2, 3), keepdim=True)).flatten(1)
        else:
            x = modality.raw(x).float()
        parts.append(F.normalize(x, dim=1))
    return torch.cat(parts) if parts else torch.zeros(0, 1)


def _close(x_ND: Tensor, y_MD: Tensor | None) -> np.ndarray:
    """(P, 2) pairs of neighbours that stand out as copies."""
    if min(len(x_ND), len(x_ND) - 1 if y_MD is None else len(y_MD)) < 1:
        return np.zeros((0, 2), np.int64)
    cosine_NK, row_NK = nearest(x_ND, y_MD)
    if cosine_NK.shape[1] < _FEW:
        close = cosine_NK >= _ALIKE_OF_FEW
    else:
        distance_NK = (2 - 2 * cosine_NK.double()).clamp_min(0).sqrt()
        usual_N = distance_NK[:, -1]
        # Where a row has more copies than neighbours were looked up, what is usual for others is usual for it.
        usual_N = usual_N.maximum(usual_N.median() / 4)
        close = (cosine_NK >= _ALIKE) & (distance_NK <= _suspicious(distance_NK) * usual_N[:, None])
    i, k = close.nonzero().unbind(1)
    return torch.stack([i, row_NK[i, k]], 1).numpy()


def _suspicious(distance_NK: Tensor) -> float:
    """The share of the K-th neighbour's distance below which chance brings a neighbour once in 1 / _CHANCE rows.

    Rows around a row fill a ball evenly in m dimensions, so the nearest of K - 1 within the K-th's distance is nearer
    than a share r of it with probability 1 - (1 - r^m)^(K-1), about (K - 1) r^m. m as Levina and Bickel (2004) estimate
    it, the median over rows, which copies of some rows do not move.
    """
    last_N1, others = distance_NK[:, -1:].clamp_min(1e-9), distance_NK[:, :-1].clamp_min(1e-9)
    slope = (last_N1 / others).log().mean(1).median().clamp_min(1e-3)
    return min(_RATIO, (_CHANCE / others.shape[1]) ** float(slope))
