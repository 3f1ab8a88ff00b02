"""Distances to neighbours and areas under curves, against slow loops."""

import numpy as np
import pytest

from kontrast.core.errors import UserError
from kontrast.evaluation import neighbour_distances as module
from kontrast.evaluation.detection import detection
from kontrast.evaluation.neighbour_distances import Places, neighbour_distances

pytestmark = pytest.mark.quick
RNG = np.random.default_rng(0)


def slowly(z, among, k, alike):
    """One vector at a time, in float64; `alike(i, j)` says what is no neighbour."""
    found = []
    for i, one in enumerate(z.astype(float)):
        far = sorted(np.linalg.norm(one - other) for j, other in enumerate(among.astype(float)) if not alike(i, j))
        found.append(np.mean(far[:k]) if far else np.nan)
    return np.array(found)


@pytest.mark.parametrize("k", [1, 3, 50])
def test_distances_equal_those_of_a_slow_loop(k, monkeypatch):
    z, among = RNG.normal(size=(13, 4)) + 100, RNG.normal(size=(9, 4)) + 100
    monkeypatch.setattr(module, "_TILE", 20)
    found = neighbour_distances(z.astype("f4"), among.astype("f4"), k=k)
    np.testing.assert_allclose(found, slowly(z, among, k, lambda i, j: False), rtol=1e-4)


def test_instants_near_in_their_row_are_no_neighbours():
    z = RNG.normal(size=(10, 3)).astype("f4")
    places = Places(np.repeat([0, 1], 5), np.tile(np.arange(5), 2))

    def alike(i, j):
        return places.row[i] == places.row[j] and abs(places.instant[i] - places.instant[j]) <= 1

    found = neighbour_distances(z, z, places, places, k=2, apart=1)
    np.testing.assert_allclose(found, slowly(z, z, 2, alike), rtol=1e-4)
    alone = neighbour_distances(z[:2], z[:2], places.take(np.arange(2)), places.take(np.arange(2)), apart=1)
    assert np.isnan(alone).all()


def test_unknown_vectors_have_no_distance_and_mistakes_are_named():
    z = np.array([[0.0, np.nan], [1.0, 1.0]])
    assert np.isnan(neighbour_distances(z, np.ones((2, 2)))).tolist() == [True, False]
    with pytest.raises(UserError, match="neighbours: 0; expected 1 or more"):
        neighbour_distances(z, z, k=0)
    with pytest.raises(UserError, match="nothing can be near"):
        neighbour_distances(z, np.zeros((0, 2)))


def test_areas_equal_their_definitions_with_ties_and_unknown_scores():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        s, y = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.3
        found = detection(np.append(s, np.nan), np.append(y, True))
        pairs = np.sign(s[y][:, None] - s[~y][None])
        assert found.auroc == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
        points = [((s >= t) & y).sum() / y.sum() for t in sorted(set(s), reverse=True)]
        precisions = [y[s >= t].mean() for t in sorted(set(s), reverse=True)]
        assert found.auprc == pytest.approx(np.sum(np.diff([0, *points]) * precisions))
        assert (found.count, found.share) == (40, y.mean())
    assert detection(np.arange(3.0), np.zeros(3)) is None
    assert detection(np.arange(3.0), np.ones(3)) is None
