"""Places for the names of categories on a map: one per cluster, none over noise."""

import numpy as np

NEAR, FEWEST, LEAST = 12, 4, 0.15  # neighbours per point; smallest cluster; its smallest share of its value's points


def anchors(xy_N2: np.ndarray, code_N: np.ndarray) -> list[int]:
    """Point of each cluster at which to draw its name, the largest cluster first.

    A point is inside a cluster if the share of its map neighbours with its value exceeds the midpoint between chance
    and
    1; neighbouring inside points of one value form a cluster.

    Args:
        xy_N2: Coordinates on the map.
        code_N: Value of each point; negative for points that are never named.

    Returns:
        Indices of points.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    n = len(xy_N2)
    k = min(NEAR, n - 1)
    if k < 1 or code_N.max(initial=-1) < 0:
        return []
    near_Nk = KDTree(xy_N2).query(xy_N2, k + 1)[1].reshape(n, k + 1)[:, 1:]
    same_Nk = code_N[near_Nk] == code_N[:, None]
    counts = np.bincount(np.maximum(code_N, 0), minlength=int(code_N.max()) + 1)
    share_N = counts[np.maximum(code_N, 0)] / n
    inside_N = (same_Nk.mean(1) >= (1 + share_N) / 2) & (code_N >= 0)
    i, at = np.nonzero(same_Nk & inside_N[:, None] & inside_N[near_Nk])
    links = coo_array((np.ones(len(i)), (i, near_Nk[i, at])), shape=(n, n))
    part_N = connected_components(links, directed=False)[1]
    found: list[tuple[int, int]] = []
    for part in np.unique(part_N[inside_N]):
        members = np.flatnonzero((part_N == part) & inside_N)
        if len(members) >= max(FEWEST, LEAST * counts[code_N[members[0]]]):
            middle = np.median(xy_N2[members], axis=0)
            found.append((len(members), int(members[np.square(xy_N2[members] - middle).sum(1).argmin()])))
    return [point for _, point in sorted(found, key=lambda one: (-one[0], one[1]))]
