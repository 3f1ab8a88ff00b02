"""Augmented Dickey-Fuller test: does a series come back to its level, or does it wander off?

Axis letters: N series, T instants, M instants that the regression explains, K columns of the regression.
"""

import torch
from torch import Tensor

from kontrast.core.embeddings import exact

# MacKinnon's polynomials for a regression with a constant: p is Phi of the first below -1.61, of the second above.
_LOW, _HIGH, _BEND = (2.1659, 1.4412, 0.038269), (1.7339, 0.93202, -0.12745, -0.010368), -1.61
_LEAST, _MOST = -18.83, 2.74


def dickey_fuller(x_NT: Tensor) -> Tensor:
    """Statistic of the test of each series, with a constant and 4 (T / 100)^(1/4) lagged changes.

    Args:
        x_NT: (N, T) series, NaN where missing: an instant counts if it and those that explain it are known.

    Returns:
        (N,), the more negative the surer is the return to the level; NaN for constant or too short series.

    Equation:
        t = b / se(b) in dx_t = a + b x_(t-1) + sum_k c_k dx_(t-k) + e_t, by least squares

    Reference:
        Said, Dickey, "Testing for unit roots in autoregressive-moving average models", Biometrika 1984.

    Example:
        >>> t = torch.arange(20.0)
        >>> bool(dickey_fuller((5 * t).sin()[None]) < 0 < dickey_fuller((t**1.5 + (5 * t).sin())[None]))
        True
    """
    x, lags = exact(x_NT), int(4 * (x_NT.shape[1] / 100) ** 0.25)
    known = x.isfinite()
    count = known.sum(1, keepdim=True).clamp_min(1)
    x = x - x.nan_to_num(0.0).sum(1, keepdim=True) / count
    x = x / (x.nan_to_num(0.0).square().sum(1, keepdim=True) / count).sqrt().clamp_min(1e-12)
    change = x.diff(dim=1)
    before = x[:, lags:-1]
    A_NMK = torch.stack([torch.ones_like(before), before, *(change[:, lags - k : -k] for k in range(1, lags + 1))], 2)
    y_NM = change[:, lags:]
    counted = y_NM.isfinite() & A_NMK.isfinite().all(2)
    A_NMK, y_NM = A_NMK.where(counted[..., None], 0.0), y_NM.where(counted, 0.0)
    inverse = torch.linalg.pinv(A_NMK.mT @ A_NMK, hermitian=True)
    b_NK = (inverse @ A_NMK.mT @ y_NM[..., None])[..., 0]
    left = (y_NM - (A_NMK @ b_NK[..., None])[..., 0]).square().sum(1)
    spare = counted.sum(1) - A_NMK.shape[2]
    error = (left / spare * inverse[:, 1, 1]).sqrt()
    return (b_NK[:, 1] / error).masked_fill((spare < 1) | (error == 0), torch.nan)


def p_value(t_N: Tensor) -> Tensor:
    """Probability of a statistic so negative if the series wanders off, by MacKinnon's approximation; 1 for NaN.

    Reference:
        MacKinnon, "Approximate asymptotic distribution functions for unit-root and cointegration tests", 1994.

    Example:
        >>> p_value(torch.tensor([-3.43, -2.86, -2.57])).round(decimals=2)  # the critical values of 1, 5 and 10 %
        tensor([0.0100, 0.0500, 0.1000])
    """
    low, high = (sum(c * t_N**k for k, c in enumerate(row)) for row in (_LOW, _HIGH))
    p = torch.special.ndtr(torch.where(t_N <= _BEND, low, high))
    return p.masked_fill(t_N < _LEAST, 0.0).masked_fill((t_N > _MOST) | t_N.isnan(), 1.0)
