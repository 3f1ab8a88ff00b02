"""Area under the curve (AUC) of positive against random pairs, with per-row contributions.

Axis letters: M positive pairs, D width, N distinct rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kontrast.core.unit_rows import unit
from kontrast.evaluation.metric_result import MetricResult


@dataclass(frozen=True)
class Pairs:
    """Embeddings of M positive pairs: row k of `one` belongs to row k of `two`.

    Attributes:
        one: (M, D) embeddings of one side, of any length.
        two: (M, D) embeddings of the other side.
        row: (M,) row that each pair comes from; pairs of the same row are never a random pair.
        groups: (M,) arrays of numbers; pairs that agree in any of them (equal content, a shared class) are not a random
            pair either.
    """

    one: np.ndarray
    two: np.ndarray
    row: np.ndarray
    groups: tuple[np.ndarray, ...] = ()


def pair_auc(found: Sequence[Pairs]) -> MetricResult | None:
    """Share of random pairs that are less similar than a positive pair; ties count half.

    The entries are one per row: AUC plus the first-order effect of that row on it, as anchor, candidate and positive
    (Hoeffding's projection of a U-statistic, for rows that serve in both classes). Their standard error is that of the
    AUC, and their difference gives a paired difference.

    Args:
        found: The positive pairs, one entry per relation between views or fields; the AUC is the mean over them.

    Returns:
        The AUC over all rows that are part of a pair, in the order of their numbers, or None if there is no positive or
        no random pair.

    Equation:
        AUC = P(cos(one_k, two_k) > cos(one_i, two_j)), over all k and all i, j of different rows

    Reference:
        DeLong, DeLong, Clarke-Pearson, Biometrics 1988.

    Example:
        >>> z = np.eye(3)
        >>> result = pair_auc([Pairs(z, z, np.arange(3))])
        >>> result.value
        1.0
    """
    sides = [side for side in (_side(pairs) for pairs in found) if side is not None]
    if not sides:
        return None
    rows = np.unique(np.concatenate([row for _, row, _ in sides]))
    value = float(np.mean([auc for auc, _, _ in sides]))
    effect_N = np.zeros(len(rows))
    for _, row, effect in sides:
        np.add.at(effect_N, np.searchsorted(rows, row), effect / len(sides))
    return MetricResult(value, len(rows), entries=value + len(rows) * effect_N, chance=0.5, bounds=(0, 1))


def _side(pairs: Pairs) -> tuple[float, np.ndarray, np.ndarray] | None:
    """AUC, row of each pair, and effect of each pair, which sum to 0."""
    if len(pairs.row) < 2:
        return None
    alike_MM = unit(pairs.one.astype(np.float64)) @ unit(pairs.two.astype(np.float64)).T
    random_MM = pairs.row[:, None] != pairs.row[None]
    for group in pairs.groups:
        random_MM &= group[:, None] != group[None]
    if not random_MM.any():
        return None
    positive = np.sort(alike_MM.diagonal())
    random = np.sort(alike_MM[random_MM])
    below = _rank(random, alike_MM.diagonal()) / len(random)
    value = float(below.mean())
    above_MM = np.where(random_MM, 1 - _rank(positive, alike_MM) / len(positive) - value, 0.0)
    effect = (below - value) / len(positive) + (above_MM.sum(0) + above_MM.sum(1)) / len(random)
    return value, pairs.row, effect


def _rank(values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Number of sorted values below each queried number; ties count half."""
    return (np.searchsorted(values, asked, "left") + np.searchsorted(values, asked, "right")) / 2
