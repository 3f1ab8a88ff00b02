"""The Dickey-Fuller test: the regression of a slow loop, MacKinnon's values, and answers that are known."""

import math

import numpy as np
import pytest
import torch

from kontrast.tasks.stationarity import dickey_fuller, p_value

pytestmark = pytest.mark.quick


def slow(x):
    """The statistic by numpy's least squares, instant by instant; instants with unknown regressors are left out."""
    lags, rows, seen = int(4 * (len(x) / 100) ** 0.25), [], []
    change = np.diff(x)
    for t in range(lags, len(change)):
        row = [1.0, x[t], *(change[t - k] for k in range(1, lags + 1))]
        if np.isfinite(row).all() and np.isfinite(change[t]):
            rows.append(row)
            seen.append(change[t])
    A, y = np.array(rows), np.array(seen)
    b = np.linalg.lstsq(A, y, rcond=None)[0]
    variance = ((y - A @ b) ** 2).sum() / (len(y) - A.shape[1])
    return b[1] / math.sqrt(variance * np.linalg.inv(A.T @ A)[1, 1])


@pytest.mark.parametrize("length", [20, 60, 240])
def test_the_statistic_is_that_of_a_slow_regression_in_any_units_and_with_gaps(length):
    g = torch.Generator().manual_seed(length)
    x = torch.randn(4, length, generator=g, dtype=torch.float64)
    x[1:] = x[1:].cumsum(1) * torch.tensor([1.0, 1e4, 1e-3])[:, None] + 7
    x[2, length // 2], x[3, -4:] = math.nan, math.nan
    wanted = [slow(row.numpy()) for row in x]
    assert dickey_fuller(x).tolist() == pytest.approx(wanted, rel=1e-6)


def test_p_has_mackinnons_critical_values_and_bounds():
    t = torch.tensor([-3.43035, -2.86154, -2.56677, -30.0, 3.0, math.nan], dtype=torch.float64)
    assert p_value(t).tolist() == pytest.approx([0.01, 0.05, 0.1, 0, 1, 1], abs=2e-4)


def test_noise_returns_and_walks_wander_off():
    noise = torch.randn(200, 100, generator=torch.Generator().manual_seed(0))
    back, away = (p_value(dickey_fuller(x)) for x in (noise, noise.cumsum(1)))
    assert (back < 0.01).float().mean() > 0.9
    assert (away < 0.05).float().mean().item() == pytest.approx(0.05, abs=0.05)  # errors of the first kind


def test_a_constant_and_a_too_short_series_say_nothing():
    assert p_value(dickey_fuller(torch.ones(1, 50))).tolist() == [1]
    assert p_value(dickey_fuller(torch.randn(1, 4))).tolist() == [1]
    assert p_value(dickey_fuller(torch.full((1, 30), math.nan))).tolist() == [1]
