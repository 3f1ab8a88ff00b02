"""Weights of negatives: the candidates minus the positives."""

from torch import Tensor

from kontrast.losses.tile_weights import Weights


def repel(attract: Weights, among: Weights) -> Weights:
    """Weights of negatives, N_ij = Q_ij max(0, 1 - P_ij), as one dense matrix.

    A candidate that attracts by half repels by half.
    """
    if attract.at is None:
        return Weights(attract.shape, among.dense() * (1 - attract.dense()).clamp_min_(0))
    whole = among.dense().to(attract.values.dtype, copy=True)
    whole[:, *attract.at] *= (1 - attract.values).clamp_min(0)
    return Weights(attract.shape, whole)


def repelled_(s: Tensor, attract: Weights, among: Weights) -> Tensor:
    """N_ij S_ij in place, without a dense matrix if both weights are short lists."""
    if attract.at is None or among.at is None or not among.rest:
        return s.mul_(repel(attract, among).dense())
    s[:, *among.at] *= among.values
    s[:, *attract.at] *= (1 - attract.values).clamp_min(0)
    return s
