"""How well the left-out item of each row is ranked: hit rates and NDCG, among all items or among 99 drawn ones.

Axis letters: N rows, V items.
"""

from collections.abc import Sequence

import numpy as np

from kontrast.core.errors import UserError

KS = (5, 10)
DRAWN = 99
"""Other items that the left-out one is ranked with, as by S3-Rec's authors."""


def places(score_NV: np.ndarray, wanted_N: np.ndarray, barred_NV: np.ndarray) -> np.ndarray:
    """Items ranked before the wanted one of each row, ties counted as a half: (N,) float.

    Args:
        score_NV: Score of each item for each row.
        wanted_N: Number of the wanted item; -1 if it is unknown, which every other item is ranked before.
        barred_NV: Items that take no part, bool; the wanted one takes part in any case.

    Example:
        >>> places(np.array([[1.0, 3.0, 2.0]]), np.array([2]), np.zeros((1, 3), bool)).tolist()
        [1.0]
    """
    rows = np.arange(len(wanted_N))
    own_N1 = score_NV[rows, wanted_N.clip(0)][:, None]
    free_NV = ~barred_NV
    free_NV[rows, wanted_N.clip(0)] = False
    before = ((score_NV > own_N1) & free_NV).sum(1) + 0.5 * ((score_NV == own_N1) & free_NV).sum(1)
    return np.where(wanted_N < 0, free_NV.sum(1) + 1.0, before)


def drawn(barred_NV: np.ndarray, wanted_N: np.ndarray, seed: int = 0, count: int = DRAWN) -> np.ndarray:
    """Bars all but `count` random items of each row that are neither barred nor wanted: (N, V) bool.

    Raises:
        UserError: a row has fewer items to draw from.
    """
    free_NV = ~barred_NV
    free_NV[np.arange(len(wanted_N)), wanted_N.clip(0)] = False
    fewest = int(free_NV.sum(1).min(initial=count))
    if fewest < count:
        raise UserError(f"recommendation: a row has {fewest} items to draw from; expected {count} or more.")
    order = np.where(free_NV, np.random.default_rng(seed).random(barred_NV.shape), 2.0)
    chosen = np.argpartition(order, count - 1, axis=1)[:, :count]
    left = np.ones_like(barred_NV)
    np.put_along_axis(left, chosen, False, axis=1)
    return left


def hits_and_gains(place_N: np.ndarray, ks: Sequence[int] = KS) -> dict[str, float]:
    """HR@k and NDCG@k of the places, with one item to find per row.

    Equation:
        HR@k = mean_i [place_i < k]; NDCG@k = mean_i [place_i < k] / log2(place_i + 2)

    Reference:
        Krichene, Rendle, "On Sampled Metrics for Item Recommendation", KDD 2020: sampled numbers may order models
        otherwise than full ones, so both are reported.
    """
    found = {}
    for k in ks:
        hit = place_N < k
        found[f"HR@{k}"] = float(hit.mean())
        found[f"NDCG@{k}"] = float((hit / np.log2(place_N + 2)).mean())
    return found
