"""Imputation check: ridge regression from the vector of a hidden instant to its values, beside a straight line.

Axis letters: T instants of a series, M hidden instants, E width of a vector, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kontrast.core.errors import UserError
from kontrast.evaluation.ridge import ALPHAS, Ridge, chosen_penalty

FIT, CHOOSE, TEST = 0, 1, 2
"""Parts of the hidden instants."""


@dataclass(frozen=True)
class ImputationErrors:
    """Errors of imputed values on the test part.

    Attributes:
        mse: Mean squared error over hidden instants and channels.
        mae: Mean absolute error over the same.
        count: Hidden instants of the test part.
        alpha: The penalty chosen on validation instants; None without a regression.
    """

    mse: float
    mae: float
    count: int
    alpha: float | None = None


def hidden_instants(series: np.ndarray, share: float, span: int, rng: np.random.Generator) -> np.ndarray:
    """Draws instants to hide, in spans, never the first nor the last known one.

    Args:
        series: (T, C), NaN for gaps. Instants with a gap are not drawn, since nothing is known to compare with.
        share: Share of the instants, 0 to 1, in expectation.
        span: Instants hidden together.
        rng: Random numbers.

    Returns:
        (T,) bool.
    """
    drawn = np.repeat(rng.random(len(series) // span + 1) < share, span)[: len(series)]
    places = np.flatnonzero(np.isfinite(series).any(1))
    if len(places):
        drawn[: places[0] + 1] = drawn[places[-1] :] = False
    return drawn & np.isfinite(series).all(1)


def interpolated(series: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Values of hidden instants on straight lines between their known neighbours: (M, C).

    Args:
        series: (T, C), NaN for gaps.
        hidden: (T,) bool.
    """
    t, at = np.arange(len(series)), np.flatnonzero(hidden)
    columns = []
    for channel in series.T:
        known = np.isfinite(channel) & ~hidden
        columns.append(np.interp(at, t[known], channel[known]) if known.any() else np.full(len(at), np.nan))
    return np.stack(columns, 1)


def regression_errors(
    vectors: np.ndarray, values: np.ndarray, part: np.ndarray, alphas: Sequence[float] = ALPHAS
) -> ImputationErrors:
    """Fits a ridge regression from vectors of hidden instants to their values, and measures it on the test part.

    Args:
        vectors: (M, E), which know nothing of the values of their instant.
        values: (M, C), in standard units of the part that is fitted.
        part: (M,) FIT, CHOOSE or TEST.
        alphas: Penalties to choose from.

    Raises:
        UserError: A part holds no instant.

    Example:
        >>> x = np.arange(30.0)[:, None]
        >>> regression_errors(x, 3 * x, np.arange(30) % 3).mse < 1e-3
        True
    """
    if empty := [name for number, name in enumerate(("fit", "choose", "test")) if not (part == number).any()]:
        raise UserError(f"imputation: no hidden instant to {empty[0]} with; hide a larger share, or name more rows.")
    x, y = ([a[part == number].astype(np.float64) for number in range(3)] for a in (vectors, values))
    fitted = Ridge(x[FIT], y[FIT])
    alpha = chosen_penalty(fitted, x[CHOOSE], y[CHOOSE], alphas)
    return errors_of(fitted.predict(x[TEST], alpha), y[TEST], alpha)


def errors_of(imputed: np.ndarray, values: np.ndarray, alpha: float | None = None) -> ImputationErrors:
    """Errors of imputed values (M, C)."""
    off = imputed - values
    return ImputationErrors(float(np.square(off).mean()), float(np.abs(off).mean()), len(values), alpha)
