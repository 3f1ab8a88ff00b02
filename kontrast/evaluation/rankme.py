"""RankMe: effective rank of embeddings, a label-free sign of dimensional collapse."""

import numpy as np

ROUNDING = 1e-7  # smaller shares are rounding errors; the paper adds this number to each share instead


def rankme(z_ND: np.ndarray) -> float:
    """Effective rank of a matrix of embeddings, from 1 (all on a line) to min(N, D).

    Compare it between states of one run or between runs of one width and number of rows: with fewer rows than
    dimensions the number of rows limits it.

    Args:
        z_ND: (N, D) embeddings, as they are; they are neither centred nor scaled.

    Returns:
        The rank; 0 if all embeddings are zero.

    Equation:
        RankMe(Z) = exp(-sum_k p_k log p_k), p_k = sigma_k(Z) / sum_j sigma_j(Z)

    Reference:
        Garrido et al., "RankMe: assessing the downstream performance of pretrained self-supervised representations by
        their rank", ICML 2023, arXiv:2210.02885, equation 1.

    Example:
        >>> round(rankme(np.eye(5)), 6)
        5.0
    """
    return entropy_rank(np.linalg.svd(z_ND.astype(np.float64), compute_uv=False))


def entropy_rank(values: np.ndarray) -> float:
    """Exponential of the entropy of non-negative numbers as shares of their sum; 0 if all are zero."""
    total = float(values.sum())
    if not total > 0:
        return 0.0
    p = values / total
    p = p[p > ROUNDING]
    return float(np.exp(-(p * np.log(p)).sum()))
