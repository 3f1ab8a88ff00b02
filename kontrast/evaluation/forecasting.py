"""Forecasts by ridge regression: from a vector of an instant to the values after it.

Axis letters: T instants of a series, E width of a vector, C channels, H horizon, R rows of the regression.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kontrast.core.errors import UserError
from kontrast.evaluation.ridge import ALPHAS, Ridge, chosen_penalty


@dataclass(frozen=True)
class ForecastErrors:
    """Errors of the forecasts of a test part.

    Attributes:
        mse: Mean squared error over instants, steps ahead and channels.
        mae: Mean absolute error over the same.
        alpha: The penalty chosen on the validation part.
        count: Instants that were forecast from.
    """

    mse: float
    mae: float
    alpha: float
    count: int


def forecasting_errors(
    vectors: np.ndarray,
    values: np.ndarray,
    parts: Sequence[slice],
    horizon: int,
    *,
    skip: int = 0,
    alphas: Sequence[float] = ALPHAS,
) -> ForecastErrors:
    """Fits a ridge regression from each instant to the next `horizon` values, and measures it on the test part.

    Forecasts begin and end in the same part. An instant is left out if its vector or a value after it is NaN. The
    penalty has the least sum of root mean squared and mean absolute error on the validation part.

    Args:
        vectors: (T, E), which know nothing of what follows their instant: of `Run.embed_instants` with causal windows,
            or of `past_values`.
        values: (T, C) what is forecast, in standard units of the training part.
        parts: The training, validation and test part of the T instants.
        horizon: Steps ahead, H.
        skip: Instants at the begin of the training part that nothing is fitted to, since their windows are not full.
        alphas: Penalties to choose from.

    Raises:
        UserError: A part has no instant with `horizon` values after it.

    Equation:
        min_{W, b} sum_t |y_t - W^T x_t - b|^2 + alpha |W|^2,  y_t = (v_{t+1}, ..., v_{t+H})

    Reference:
        Yue et al. 2022, arXiv:2106.10466.

    Example:
        >>> values = np.sin(np.arange(300) / 5)[:, None]
        >>> parts = slice(0, 200), slice(200, 250), slice(250, 300)
        >>> forecasting_errors(past_values(values, 20), values, parts, 3, skip=20).mse < 0.01
        True
    """
    (x, y), (x_valid, y_valid), (x_test, y_test) = (
        _pairs(vectors, values, part, horizon, skip if number == 0 else 0) for number, part in enumerate(parts)
    )
    fitted = Ridge(x, y)
    alpha = chosen_penalty(fitted, x_valid, y_valid, alphas)
    off = fitted.predict(x_test, alpha) - y_test
    return ForecastErrors(float(np.square(off).mean()), float(np.abs(off).mean()), float(alpha), len(y_test))


def past_values(values: np.ndarray, length: int) -> np.ndarray:
    """The last `length` values up to each instant, the raw counterpart of a causal window: (T, C) -> (T, length C).

    Gaps have the last value before them; where there is none, 0.
    """
    known = np.isfinite(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], -1), axis=0)
    filled = np.where(last >= 0, np.take_along_axis(values, last.clip(0), 0), 0.0)
    padded = np.concatenate([np.zeros((length - 1, values.shape[1])), filled])
    return np.lib.stride_tricks.sliding_window_view(padded, length, axis=0).reshape(len(values), -1)


def _pairs(
    vectors: np.ndarray, values: np.ndarray, part: slice, horizon: int, skip: int
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (R, E) and the values after them (R, H C) of one part, in float64."""
    x, v = vectors[part].astype(np.float64), values[part].astype(np.float64)
    if horizon < 1 or len(v) <= horizon + skip:
        raise UserError(
            f"forecasting: a horizon of {horizon} and {skip} instants skipped, in a part of {len(v):,}; expected a "
            "part that is longer than both together."
        )
    after = np.lib.stride_tricks.sliding_window_view(v[1:], horizon, axis=0).swapaxes(1, 2)
    x, y = x[skip : len(after)], after[skip:].reshape(len(after) - skip, -1)
    whole = np.isfinite(x).all(1) & np.isfinite(y).all(1)
    if not whole.any():
        raise UserError("forecasting: a part has no instant whose vector and following values are all known.")
    return x[whole], y[whole]
