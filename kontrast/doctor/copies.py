"""Search for near duplicates, rows that were probably derived from each other.

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

MOST = 100_000  # rows compared; larger sets are sampled at a regular interval
_BLOCK = 2_048
# A near duplicate has at least this cosine, a distance that chance reaches at this rate per row, and at most this share
# of the 10th neighbour's distance. `Near` lists measured hits and false alarms.
_ALIKE, _CHANCE, _RATIO = 0.95, 1e-4, 0.35
_FEW, _ALIKE_OF_FEW = 5, 0.995  # fewer neighbours show no usual distance: then this cosine alone decides


@dataclass(frozen=True)
class Pairs:
    """Pairs of duplicate rows.

    Attributes:
        rows: Row numbers, (P, 2); within a field the smaller comes first.
        compared: Number of rows compared.
    """

    rows: np.ndarray
    compared: int

    @property
    def groups(self) -> list[list[int]]:
        """Connected groups of rows, largest first."""
        return groups(self.rows)


def groups(pairs: np.ndarray) -> list[list[int]]:
    """Connected groups of rows in the graph of pairs (P, 2), largest first."""
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
    """Finds near duplicates in a field.

    Args:
        modality: Fitted modality of the field.
        store: Packed rows of the field.
        content: Content codes, (N,); of rows with equal content only the first is compared.
        texts: Full texts of the rows; None: the field is no text, and features are compared.
    """
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
    """Finds exact and near duplicates between two fields of the same kind.

    Args:
        modalities: Fitted modalities of both fields.
        stores: Packed rows of both fields.
        contents: Content codes of both fields, each (N,).
        texts: Full texts of both fields; None for a field that is no text.

    Returns:
        Pairs (row, other row), where the first field of `row` matches the second field of `other row`.
    """
    one, other = (_some(_distinct(content)) for content in contents)
    if texts[0] is not None and texts[1] is not None:
        found = spelling.alike([texts[0][row] for row in one], [texts[1][row] for row in other])
    else:
        x, y = (_features(*of) for of in zip(modalities, stores, (one, other), strict=True))
        # Features of different widths, such as those of series of different lengths, cannot be compared.
        found = _close(x, y) if x.shape[1] == y.shape[1] else np.zeros((0, 2), np.int64)
    near = np.stack([one[found[:, 0]], other[found[:, 1]]], 1)
    return Pairs(np.unique(np.concatenate([_equal(*contents), near]), axis=0), len(one))


def _equal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Rows with the first equal row of the other field, preferring themselves, (P, 2)."""
    codes, first = np.unique(other, return_index=True)
    place = np.searchsorted(codes, one).clip(max=len(codes) - 1)
    hit = (codes[place] == one) & (one >= 0)
    match = np.where(one == other, np.arange(len(one)), first[place])
    return np.stack([np.flatnonzero(hit), match[hit]], 1)


def _distinct(content: np.ndarray) -> np.ndarray:
    """The first row of each distinct content, in row order."""
    codes, first = np.unique(content, return_index=True)
    return np.sort(first[codes >= 0])


def _some(rows: np.ndarray) -> np.ndarray:
    return rows[:: -(-len(rows) // MOST)] if len(rows) else rows


def _features(modality: Modality, store: Store, rows: np.ndarray) -> Tensor:
    """Unit-length features by which rows are compared, (N, D)."""
    parts = []
    for start in range(0, len(rows), _BLOCK):
        x = modality.batch(store, rows[start : start + _BLOCK], None)
        parts.append(F.normalize(modality.likeness(x).float(), dim=1))
    return torch.cat(parts) if parts else torch.zeros(0, 1)


def _close(x_ND: Tensor, y_MD: Tensor | None) -> np.ndarray:
    """Pairs of neighbours unusually close for their surroundings, (P, 2)."""
    if min(len(x_ND), len(x_ND) - 1 if y_MD is None else len(y_MD)) < 1:
        return np.zeros((0, 2), np.int64)
    cosine_NK, row_NK = nearest(x_ND, y_MD)
    if cosine_NK.shape[1] < _FEW:
        close = cosine_NK >= _ALIKE_OF_FEW
    else:
        distance_NK = (2 - 2 * cosine_NK.double()).clamp_min(0).sqrt()
        usual_N = distance_NK[:, -1]
        # A row with more copies than looked-up neighbours has no usual distance of its own: a floor comes from others.
        usual_N = usual_N.maximum(usual_N.median() / 4)
        close = (cosine_NK >= _ALIKE) & (distance_NK <= _suspicious(distance_NK) * usual_N[:, None])
    i, k = close.nonzero().unbind(1)
    return torch.stack([i, row_NK[i, k]], 1).numpy()


def _suspicious(distance_NK: Tensor) -> float:
    """Share of the K-th neighbour's distance that chance undercuts once in 1 / _CHANCE rows.

    If the rows around a row fill an m-dimensional ball evenly, the nearest of the K - 1 neighbours within the K-th
    distance is closer than a share r of it with probability 1 - (1 - r^m)^(K-1), about (K - 1) r^m. The intrinsic
    dimension m is the estimate of Levina and Bickel (2004), with the median over rows, which copies of some rows do not
    shift.
    """
    last_N1, others = distance_NK[:, -1:].clamp_min(1e-9), distance_NK[:, :-1].clamp_min(1e-9)
    slope = (last_N1 / others).log().mean(1).median().clamp_min(1e-3)
    return min(_RATIO, (_CHANCE / others.shape[1]) ** float(slope))
