"""Who repels an anchor: the candidates, less those who attract it."""

from torch import Tensor

from kontrast.losses.engine.tile_weights import Weights


def repel(attract: Weights, among: Weights) -> Weights:
    """N_ij = Q_ij max(0, 1 - P_ij): a half attracted candidate repels half. One dense matrix."""
    if attract.at is None:
        return Weights(attract.shape, among.dense() * (1 - attract.dense()).clamp_min_(0))
    whole = among.dense().to(attract.values.dtype, copy=True)
    whole[:, *attract.at] *= (1 - attract.values).clamp_min(0)
    return Weights(attract.shape, whole)


def repelled_(s: Tensor, attract: Weights, among: Weights) -> Tensor:
    """N_ij S_ij in place: where both weights are short lists, nothing dense is made."""
    if attract.at is None or among.at is None or not among.rest:
        return s.mul_(repel(attract, among).dense())
    s[:, *among.at] *= among.values
    s[:, *attract.at] *= (1 - attract.values).clamp_min(0)
    return s
