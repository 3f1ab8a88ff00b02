"""Forecasts by ridge regression: against scikit-learn and slow loops; nothing of another part is seen."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from kontrast.core.errors import UserError
from kontrast.evaluation.forecasting import ALPHAS, forecasting_errors, past_values

RNG = np.random.default_rng(0)
PARTS = slice(0, 80), slice(80, 110), slice(110, 150)
HORIZON = 4


def series(channels=2):
    return np.sin(np.arange(150)[:, None] / (3 + np.arange(channels))) + 0.3 * RNG.normal(size=(150, channels))


def slowly(vectors, values, part, skip=0):
    """Pairs of one part, instant by instant."""
    x, y = [], []
    for t in range(part.start + skip, part.stop - HORIZON):
        after = np.concatenate([values[t + step] for step in range(1, HORIZON + 1)])
        if np.isfinite(vectors[t]).all() and np.isfinite(after).all():
            x.append(vectors[t])
            y.append(after)
    return np.array(x), np.array(y)


@pytest.mark.parametrize("gaps", [False, True])
def test_errors_are_those_of_scikit_learn_with_the_penalty_chosen_on_validation(gaps):
    values, vectors = series(), RNG.normal(size=(150, 6))
    vectors[:, 0] = values[:, 0]
    if gaps:
        values[[20, 90, 130], 1] = np.nan
        vectors[[30, 31]] = np.nan
    found = forecasting_errors(vectors, values, PARTS, HORIZON, skip=5)
    x, y = slowly(vectors, values, PARTS[0], 5)
    scored = []
    for alpha in ALPHAS:
        model = Ridge(alpha=alpha).fit(x, y)
        x_valid, y_valid = slowly(vectors, values, PARTS[1])
        off = model.predict(x_valid) - y_valid
        scored.append((np.sqrt((off**2).mean()) + np.abs(off).mean(), alpha))
    best = min(scored)[1]
    x_test, y_test = slowly(vectors, values, PARTS[2])
    off = Ridge(alpha=best).fit(x, y).predict(x_test) - y_test
    assert (found.alpha, found.count) == (best, len(y_test))
    assert found.mse == pytest.approx((off**2).mean(), rel=1e-9)
    assert found.mae == pytest.approx(np.abs(off).mean(), rel=1e-9)


def test_what_follows_a_part_does_not_change_its_errors():
    values, vectors = series(), RNG.normal(size=(150, 6))
    before = forecasting_errors(vectors[:150], values, PARTS, HORIZON)
    parts = (*PARTS[:2], slice(110, 140))
    cut = forecasting_errors(vectors[:140], values[:140], parts, HORIZON)
    changed = values.copy()
    changed[140:] = 50
    assert forecasting_errors(vectors, changed, parts, HORIZON) == cut
    assert before.count == cut.count + 10


def test_past_values_are_those_of_a_slow_loop():
    values = series()
    values[[0, 1, 7, 8, 40], 0] = np.nan
    found = past_values(values, 5)
    for t in range(len(values)):
        for channel in range(2):
            expected = []
            for back in range(t - 4, t + 1):
                past = values[: back + 1, channel][np.isfinite(values[: back + 1, channel])] if back >= 0 else []
                expected.append(past[-1] if len(past) else 0.0)
            assert np.array_equal(found[t].reshape(2, 5)[channel], expected)


def test_a_signal_is_forecast_better_than_by_its_mean():
    values = np.sin(np.arange(150) / 4)[:, None]
    assert forecasting_errors(past_values(values, 12), values, PARTS, HORIZON, skip=12).mse < 0.01 < values.var()


@pytest.mark.parametrize(("horizon", "skip"), [(0, 0), (30, 0), (4, 77)])
def test_a_horizon_that_does_not_fit_is_named(horizon, skip):
    with pytest.raises(UserError, match=f"a horizon of {horizon} and {skip} instants skipped"):
        forecasting_errors(series(), series(), PARTS, horizon, skip=skip)


def test_parts_without_known_values_are_named():
    with pytest.raises(UserError, match="no instant whose vector"):
        forecasting_errors(np.full((150, 3), np.nan), series(), PARTS, HORIZON)
