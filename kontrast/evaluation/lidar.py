"""LiDAR: rank of the directions that tell samples apart, beyond what augmentation changes."""

import numpy as np

from kontrast.evaluation.rankme import entropy_rank

ALIKE = 1e-9  # of the eigenvalues' sum: below it the differences of samples are rounding errors


def lidar(z_NQD: np.ndarray, delta: float = 1e-4) -> float:
    """Effective rank of linear discriminant analysis with each sample as a class of its augmented views.

    RankMe counts all directions in which embeddings vary, noise included; LiDAR counts those in which samples vary
    more than their own views do. Compare values of equal N, Q and D only.

    Args:
        z_NQD: (N, Q, D) embeddings of Q views of N samples, as they are; N and Q at least 2. The paper takes 1,000
            samples and 50 views.
        delta: Added to each within-sample variance. Default 1e-4, as in the paper.

    Returns:
        The rank, at most min(N - 1, D); 0 if all samples embed alike.

    Raises:
        ValueError: There are fewer than two samples or views.

    Equation:
        LiDAR = exp(-sum_i p_i log p_i), p = lambda / sum(lambda), lambda the eigenvalues of
        S_w^(-1/2) S_b S_w^(-1/2), where S_b = mean_n (m_n - m)(m_n - m)^T and
        S_w = mean_nq (z_nq - m_n)(z_nq - m_n)^T + delta I, m_n the mean of sample n and m the mean of all

    Reference:
        Thilak et al., "LiDAR: sensing linear probing performance in joint embedding SSL architectures", ICLR 2024,
        arXiv:2312.04000, equations 1 to 5.

    Example:
        >>> z = np.repeat(np.eye(4)[:, None], 2, axis=1)  # 4 samples whose 2 views are equal
        >>> round(lidar(z), 6)
        3.0
    """
    n, q, _ = z_NQD.shape
    if n < 2 or q < 2:
        raise ValueError(f"lidar takes at least 2 samples of 2 views; found {n} of {q}")
    z = _in_own_span(z_NQD.astype(np.float64))
    middle_ND = z.mean(1)
    between_ND = middle_ND - middle_ND.mean(0)
    within = (z - middle_ND[:, None]).reshape(n * q, -1)
    s_w = within.T @ within / (n * q) + delta * np.eye(within.shape[1])
    # with S_w = L L^T, the squared singular values of L^-1 between^T are the eigenvalues, up to the factor n
    white_DN = np.linalg.solve(np.linalg.cholesky(s_w), between_ND.T)
    values = np.linalg.svd(white_DN, compute_uv=False) ** 2 / n
    return entropy_rank(values) if values.sum() > ALIKE else 0.0


def _in_own_span(z_NQD: np.ndarray) -> np.ndarray:
    """Coordinates in the span of the embeddings if that is smaller: rotations change no eigenvalue."""
    n, q, d = z_NQD.shape
    if d <= n * q:
        return z_NQD
    return np.linalg.qr(z_NQD.reshape(n * q, d).T)[1].T.reshape(n, q, -1)
