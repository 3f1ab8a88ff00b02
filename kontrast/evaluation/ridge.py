"""Ridge regression for many penalties, and the choice of one on validation rows.

Axis letters: R rows, E features, Y targets.
"""

from collections.abc import Sequence

import numpy as np

ALPHAS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Penalties tried on validation rows, as by TS2Vec's authors."""


class Ridge:
    """Ridge regression with an intercept, one eigendecomposition for all penalties.

    Args:
        x: (R, E) float64 features.
        y: (R, Y) float64 targets.

    Equation:
        min_{W, b} sum_r |y_r - W^T x_r - b|^2 + alpha |W|^2

    Example:
        >>> x = np.arange(4.0)[:, None]
        >>> Ridge(x, 2 * x + 1).predict(np.array([[9.0]]), alpha=0.0).round(6)
        array([[19.]])
    """

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.mean, self.level = x.mean(0), y.mean(0)
        x = x - self.mean
        self.eigenvalues, self.basis = np.linalg.eigh(x.T @ x)
        self.turned = self.basis.T @ (x.T @ (y - self.level))

    def predict(self, x: np.ndarray, alpha: float) -> np.ndarray:
        """Predictions (R, Y) with a penalty."""
        weights = self.basis @ (self.turned / (self.eigenvalues.clip(0) + alpha)[:, None])
        return (x - self.mean) @ weights + self.level


def chosen_penalty(fitted: Ridge, x: np.ndarray, y: np.ndarray, alphas: Sequence[float] = ALPHAS) -> float:
    """The penalty with the least sum of root mean squared and mean absolute error on validation rows."""
    off = [fitted.predict(x, alpha) - y for alpha in alphas]
    return float(alphas[int(np.argmin([np.sqrt(np.square(one).mean()) + np.abs(one).mean() for one in off]))])
