"""Mean distance to the nearest of other vectors, an anomaly score that needs no labels.

Axis letters: N vectors, M vectors to search, D width, B vectors at once, K neighbours.
"""

from dataclasses import dataclass

import numpy as np
import torch

from kontrast.core.errors import UserError

NEIGHBOURS = 5
_TILE = 1 << 24  # distances held at once


@dataclass(frozen=True)
class Places:
    """Where vectors come from, so that a vector is not its own neighbour.

    Attributes:
        row: (N,) int64, number of the row.
        instant: (N,) int64, place in the row; zeros for vectors of whole rows.
    """

    row: np.ndarray
    instant: np.ndarray

    def take(self, index: np.ndarray) -> "Places":
        """Selects some of them."""
        return Places(self.row[index], self.instant[index])


def neighbour_distances(
    z: np.ndarray,
    among: np.ndarray,
    places: Places | None = None,
    places_among: Places | None = None,
    *,
    k: int = NEIGHBOURS,
    apart: int = 0,
) -> np.ndarray:
    """Mean Euclidean distance of each vector to its k nearest among others.

    Take it to find rows or instants unlike those of training. Vectors of one row at most `apart` instants away from
    each other share what they were computed from, so they are not neighbours.

    Args:
        z: (N, D) vectors to score.
        among: (M, D) vectors of training, finite.
        places: Of `z`. Default: none of them is among the others.
        places_among: Of `among`.
        k: Neighbours, at most as many as there are. Default 5.
        apart: Instants between neighbours of one row; 0 excludes a vector itself. Default 0.

    Returns:
        (N,) float64; NaN for a vector with NaN, or without any neighbour.

    Raises:
        UserError: There is nothing to search, or k is below 1.

    Equation:
        s_i = 1/k sum_{j in kNN(i)} |z_i - z_j|

    Reference:
        Ramaswamy, Rastogi, Shim, "Efficient algorithms for mining outliers from large data sets", SIGMOD 2000;
        Angiulli, Pizzuti, "Fast outlier detection in high dimensional spaces", PKDD 2002, who take the mean.

    Example:
        >>> among = np.array([[0.0], [1.0], [2.0]])
        >>> neighbour_distances(np.array([[0.0], [9.0]]), among, k=2)
        array([0.5, 7.5])
    """
    if k < 1:
        raise UserError(f"neighbours: {k}; expected 1 or more.")
    if not len(among):
        raise UserError("no vector of the training data is known, so nothing can be near; name other training data.")
    centre = among.mean(0, dtype=np.float64).astype(np.float32)  # small numbers lose less in the difference of squares
    a, b = (torch.from_numpy(np.asarray(x, np.float32) - centre) for x in (z, among))
    k, lengths_M, step = min(k, len(b)), b.square().sum(1), max(1, _TILE // len(b))
    found = np.full(len(a), np.nan)
    for start in range(0, len(a), step):
        a_BD = a[start : start + step]
        far_BM = lengths_M - 2 * a_BD @ b.T  # the length of a itself changes no order
        if places is not None and places_among is not None:
            far_BM[torch.from_numpy(_near(places, places_among, slice(start, start + step), apart))] = torch.inf
        value_BK, at_BK = far_BM.topk(k, largest=False)
        exact_BK = (a_BD[:, None] - b[at_BK]).double().norm(dim=2)
        there_BK = value_BK < torch.inf
        found[start : start + step] = (torch.where(there_BK, exact_BK, 0.0).sum(1) / there_BK.sum(1)).numpy()
    return np.where(np.isfinite(z).all(1), found, np.nan)


def _near(places: Places, others: Places, part: slice, apart: int) -> np.ndarray:
    """Pairs of one row that are at most `apart` instants away: (B, M) bool."""
    same = places.row[part, None] == others.row
    return same & (np.abs(places.instant[part, None] - others.instant) <= apart)
