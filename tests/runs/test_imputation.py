"""Imputation check: what is hidden, straight lines, and errors of a run beside them."""

import numpy as np
import pytest

import kontrast as kt
from kontrast.core.errors import UserError
from kontrast.evaluation.imputation import errors_of, hidden_instants, interpolated, regression_errors
from kontrast.runs.imputation import check_imputation

RNG = np.random.default_rng(0)


def test_hidden_instants_lie_between_known_ones_in_spans():
    series = RNG.normal(size=(400, 2))
    series[:3], series[50, 1], series[398:] = np.nan, np.nan, np.nan
    hidden = hidden_instants(series, 0.3, 8, np.random.default_rng(0))
    assert 0.2 < hidden.mean() < 0.4
    assert not hidden[[*range(4), 50, 397, 398, 399]].any()
    spans = hidden[56:392].reshape(-1, 8)
    assert (spans.all(1) == spans.any(1)).all()


def test_straight_lines_join_known_neighbours():
    series = np.array([[0.0, 1], [9, 9], [9, 9], [6, np.nan], [7, 5]])
    hidden = np.array([0, 1, 1, 0, 0]).astype(bool)
    np.testing.assert_allclose(interpolated(series, hidden), [[2, 2], [4, 3]])


def test_a_regression_finds_what_vectors_hold_and_nothing_else():
    part, values = np.arange(90) % 3, RNG.normal(size=(90, 2))
    known = regression_errors(values @ np.array([[1.0, 2, 0], [0, 1, 1]]), values, part)
    nothing = regression_errors(RNG.normal(size=(90, 3)), values, part)
    assert known.mse < 1e-3
    assert 0.5 < nothing.mse < 2
    assert (known.count, known.alpha) == (30, 0.1)
    assert errors_of(np.zeros((1, 2)), np.array([[3.0, 1]])).mse == 5
    with pytest.raises(UserError, match="no hidden instant to test with"):
        regression_errors(values[:9], values[:9], np.arange(9) % 2)


def test_a_run_is_checked_beside_lines_and_means(tmp_path):
    rows = [
        np.stack([np.sin(np.arange(n) / 2 + p), np.cos(np.arange(n) / 2 + p)]) for p, n in enumerate([40] * 11 + [30])
    ]
    settings = {
        "scores": [],
        "plan.batch": 8,
        "plan.precision": "32",
        "plan.checkpoint": 0,
        "views.x.normalise": "dataset",
        "encoders.series": {"name": "dilated_cnn", "hidden": 8, "out": 16, "depth": 4},
    }
    run = kt.train(
        {"x": rows}, recipe="ts2vec", fields={"x": "series"}, steps=2, out=tmp_path / "run", settings=settings
    )
    found = check_imputation(run, {"x": rows}, span=3)
    assert list(found) == ["learned", "untrained", "interpolation", "mean"]
    assert len({one.count for one in found.values()}) == 1
    assert found["learned"].mse < 0.8 * found["mean"].mse  # its surroundings say where in the wave it lies
    by_time = check_imputation(run, {"x": rows[:2]}, span=1, share=0.4)
    assert all(np.isfinite(one.mse) for one in by_time.values())
    for how, words in (({"share": 1.0}, "share=1.0"), ({"span": 0}, "span=0")):
        with pytest.raises(UserError, match=words):
            check_imputation(run, {"x": rows[:2]}, **how)
