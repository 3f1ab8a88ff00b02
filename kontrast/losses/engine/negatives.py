"""Weights of negatives: the candidates minus the positives."""

from torch import Tensor

from kontrast.losses.tile_weights import Weights


def negative_weights(positives: Weights, candidates: Weights) -> Weights:
    """Weights of negatives, N_ij = Q_ij max(0, 1 - P_ij), as one dense matrix.

    A positive of weight 1/2 is a negative of weight 1/2 too.
    """
    if positives.at is None:
        return Weights(positives.shape, candidates.dense() * (1 - positives.dense()).clamp_min_(0))
    whole = candidates.dense().to(positives.values.dtype, copy=True)
    whole[:, *positives.at] *= (1 - positives.values).clamp_min(0)
    return Weights(positives.shape, whole)


def scale_by_negatives_(s: Tensor, positives: Weights, candidates: Weights) -> Tensor:
    """Computes N_ij S_ij in place, without a dense matrix if both weights are short lists."""
    if positives.at is None or candidates.at is None or not candidates.rest:
        return s.mul_(negative_weights(positives, candidates).dense())
    s[:, *candidates.at] *= candidates.values
    s[:, *positives.at] *= (1 - positives.values).clamp_min(0)
    return s
