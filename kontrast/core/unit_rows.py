"""Rows of length 1, for arrays."""

import numpy as np


def unit(z: np.ndarray) -> np.ndarray:
    """Divides rows by their length.

    Args:
        z: (N, D).

    Returns:
        (N, D) in the dtype of `z`. A row of zeros stays zero, a row with NaN becomes NaN.
    """
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
