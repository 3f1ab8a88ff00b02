"""RankMe and LiDAR against the formulas of their papers, in loops, and in cases whose answer is known."""

import math

import numpy as np
import pytest

from kontrast.evaluation.geometry import effective_rank
from kontrast.evaluation.lidar import lidar
from kontrast.evaluation.rankme import rankme

pytestmark = pytest.mark.quick


def _entropy_rank(values):
    total, entropy = sum(values), 0.0
    for value in values:
        if value / total > 1e-7:
            entropy -= value / total * math.log(value / total)
    return math.exp(entropy)


def _slow_rankme(z):
    gram = np.zeros((z.shape[1], z.shape[1]))
    for row in z:
        gram += np.outer(row, row)
    return _entropy_rank([math.sqrt(max(value, 0)) for value in np.linalg.eigvalsh(gram)])


def _slow_lidar(z, delta):
    n, q, d = z.shape
    means = [sum(z[i, j] for j in range(q)) / q for i in range(n)]
    grand = sum(means) / n
    s_b, s_w = np.zeros((d, d)), delta * np.eye(d)
    for i in range(n):
        s_b += np.outer(means[i] - grand, means[i] - grand) / n
        for j in range(q):
            s_w += np.outer(z[i, j] - means[i], z[i, j] - means[i]) / (n * q)
    values, vectors = np.linalg.eigh(s_w)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    return _entropy_rank([max(value, 0) for value in np.linalg.eigvalsh(root @ s_b @ root)])


@pytest.mark.parametrize(("n", "d"), [(40, 7), (6, 20)])
def test_rankme_is_the_formula_of_the_paper(n, d):
    z = np.random.default_rng(n).normal(size=(n, d)) * np.linspace(1, 4, d) + 0.3
    assert rankme(z) == pytest.approx(_slow_rankme(z), rel=1e-5)


def test_rankme_counts_directions():
    assert rankme(np.eye(6)[[0, 1, 2]]) == pytest.approx(3)
    assert rankme(np.ones((9, 4))) == pytest.approx(1)
    assert rankme(np.zeros((9, 4))) == 0


def test_rankme_is_what_the_evaluator_of_geometry_calls_the_effective_rank():
    z = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
    assert rankme(z) == pytest.approx(effective_rank(z), rel=1e-4)


@pytest.mark.parametrize(("n", "q", "d"), [(30, 3, 6), (5, 2, 24)])
@pytest.mark.parametrize("delta", [1e-4, 0.1])
def test_lidar_is_the_formula_of_the_paper(n, q, d, delta):
    rng = np.random.default_rng(d)
    z = rng.normal(size=(n, 1, d)) * np.linspace(0.2, 2, d) + rng.normal(size=(n, q, d)) * 0.5
    assert lidar(z, delta) == pytest.approx(_slow_lidar(z, delta), rel=1e-6)


def test_lidar_ignores_directions_that_only_augmentation_changes():
    rng = np.random.default_rng(0)
    z = np.zeros((400, 8, 6))
    z[:, :, :2] = rng.normal(size=(400, 1, 2))  # two directions tell samples apart
    z[:, :, 2:] = rng.normal(size=(400, 8, 4))  # four are noise of the views
    assert lidar(z) == pytest.approx(2, abs=0.05)
    assert rankme(z.reshape(-1, 6)) > 5


def test_lidar_of_collapsed_embeddings_is_zero_and_too_few_views_are_refused():
    assert lidar(np.ones((5, 2, 3))) == 0
    assert lidar(1 + 1e-8 * np.random.default_rng(0).normal(size=(50, 2, 30))) == 0
    with pytest.raises(ValueError, match="at least 2 samples of 2 views; found 5 of 1"):
        lidar(np.ones((5, 1, 3)))
