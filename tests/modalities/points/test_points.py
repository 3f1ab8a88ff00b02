"""Point clouds: views with a fixed number of points, columns by their values, refusals."""

import numpy as np
import pytest
import torch

from kontrast.core import random_streams
from kontrast.core.errors import Unreadable, UserError
from kontrast.modalities.points.points import Points
from tests.support.clouds import body, mesh

pytestmark = pytest.mark.quick
KEYS = random_streams.key(0, 0, torch.arange(6), 0)


def fitted(cells, **settings):
    modality = Points(**settings)
    items = [modality.read(cell, None) for cell in cells]
    modality.fit(items)
    return modality, modality.collate([modality.pack(item) for item in items])


def rows(x):
    """Points (C, P) as a set of rounded rows."""
    return {tuple(np.round(point, 4)) for point in x.T.tolist()}


@pytest.mark.parametrize("role", ["original", "weak", "global", "local", "strong", "context"])
def test_every_view_has_the_same_number_of_points_in_the_unit_sphere(role):
    modality, batch = fitted([body(n, points=60 + 40 * n) for n in range(6)], points=100, jitter=0.0, scale=0.0)
    assert batch.shape == (6, 3, 260)
    x = modality.augment(batch, KEYS, role=role)
    assert x.shape == (6, 3, 100)
    radius = x.square().sum(1).amax(1).sqrt()
    limit = 1.5 if modality.changes.drop and role in ("global", "local", "strong") else 1.0
    assert (radius <= limit + 1e-5).all()
    assert (radius > 0.5).all()


def test_views_of_a_row_are_other_points_and_embedding_takes_the_same_ones():
    modality, batch = fitted([body(n, points=400) for n in range(6)], points=100)
    assert torch.equal(modality.preprocess(batch), modality.preprocess(batch))
    one, two = (modality.augment(batch, random_streams.key(0, 0, torch.arange(6), n), role="weak") for n in (0, 1))
    assert not torch.allclose(one, two)
    assert all(len(rows(x.numpy())) == 100 for x in one)  # without replacement


def test_small_clouds_repeat_their_points():
    modality, batch = fitted([body(n, points=30) for n in range(6)], points=100)
    for x in (modality.preprocess(batch), modality.augment(batch, KEYS, role="weak")):
        assert all(len(rows(one.numpy())) == 30 for one in x)


def test_windows_are_successive_choices_of_points():
    modality, batch = fitted([body(n, points=300) for n in range(6)], points=100, windows=3, normalise="dataset")
    found = modality.windows(batch)
    assert len(found) == 3
    assert torch.equal(found[0], modality.preprocess(batch))
    assert not torch.allclose(found[0], found[1])


def test_a_context_view_lies_on_one_side_and_a_local_one_near_a_point():
    grid = np.stack(np.meshgrid(*[np.arange(8.0)] * 3), -1).reshape(-1, 3)
    modality, batch = fitted([grid + 0.001 * n for n in range(6)], points=200, normalise="dataset", rotate="none")
    half = modality.augment(batch, KEYS, role="context")
    whole = modality.preprocess(batch)
    assert (half.var(2).sum(1) < 0.9 * whole.var(2).sum(1)).all()
    local = modality.augment(batch, KEYS, role="local")
    assert (local.var(2).sum(1) < 0.75 * whole.var(2).sum(1)).all()


def test_size_counts_only_if_asked():
    cells = [body(0), 5 * body(0)]
    sphere, batch = fitted(cells)
    one, two = sphere.preprocess(batch)
    torch.testing.assert_close(one, two)
    dataset, batch = fitted(cells, normalise="dataset")
    one, two = dataset.preprocess(batch)
    torch.testing.assert_close(5 * one, two)


def test_far_coordinates_lose_no_digits():
    cells = [body(n).astype(np.float64) for n in range(3)]
    _, near = fitted(cells)
    _, far = fitted([cell + np.array([500_000, 5_000_000, 80]) for cell in cells])
    torch.testing.assert_close(near, far, atol=1e-5, rtol=0)


def normals(n):
    x = np.random.default_rng(n).normal(size=(150, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("columns", "seen"),
    [
        (lambda n: normals(n), ("normals",)),
        (lambda n: np.random.default_rng(n).integers(0, 256, (150, 3)), ("colours",)),
        (lambda n: np.random.default_rng(n).random((150, 3)), ("colours",)),
        (lambda n: np.hstack([np.random.default_rng(n).random((150, 3)), normals(n)]), ("normals", "colours")),
        (lambda n: 9 + np.random.default_rng(n).normal(size=(150, 2)), ("other",)),
    ],
    ids=["normals", "bytes", "shares", "both", "other"],
)
def test_further_columns_are_told_by_their_values(columns, seen):
    cells = [np.hstack([body(n), columns(n)]) for n in range(6)]
    modality, batch = fitted(cells)
    assert modality.note() == f"views of 150 points with {' and '.join(['coordinates', *seen])}, z up"
    assert modality.facts()["channels"] == batch.shape[1] == cells[0].shape[1]
    if seen == ("colours",):
        assert -1 <= float(batch[:, 3:].min()) < -0.9
        assert 0.9 < float(batch[:, 3:].max()) <= 1
    if seen == ("other",):
        torch.testing.assert_close(batch[:, 3:].mean((0, 2)), torch.zeros(2), atol=1e-4, rtol=0)
    with pytest.raises(Unreadable, match="has other columns than the training rows, which hold coordinates and"):
        modality.pack(modality.read(body(9), None))


def test_normals_of_meshes_are_seen_only_if_asked():
    cells = [mesh(".ply"), mesh(".ply")]
    assert fitted(cells)[0].facts()["channels"] == 3
    modality, batch = fitted(cells, normals=True, rotate="any", jitter=0.0, scale=0.0)
    assert batch.shape[1] == 6
    view = modality.augment(batch, KEYS[:2])
    torch.testing.assert_close(view[:, 3:].norm(dim=1), torch.ones(2, modality.points))
    with pytest.raises(UserError, match="colours=true, but no row holds colours"):
        fitted(cells, colours=True)


def test_up_follows_the_format_of_most_files(tmp_path):
    for suffix in (".obj", ".off"):
        (tmp_path / f"a{suffix}").write_bytes(mesh(suffix))
    modality = Points()
    modality.fit([modality.read("a.obj", tmp_path)] * 2 + [modality.read("a.off", tmp_path)])
    assert modality.up == "y"


def test_strengths_say_which_changes_are_made():
    modality, batch = fitted([body(n, points=300) for n in range(6)], strength="none", points=100)
    assert torch.equal(modality.augment(batch, KEYS), modality.preprocess(batch))
    assert not modality.augments("global")
    light, _ = fitted([body(n, points=300) for n in range(6)], strength="light", points=100)
    torch.testing.assert_close(light.augment(batch, KEYS), light.augment(batch, KEYS, role="weak"))


def test_the_raw_features_are_a_grid_of_shares():
    modality, batch = fitted([body(n) for n in range(6)])
    raw = modality.raw(batch)
    assert raw.shape == (6, 64)
    torch.testing.assert_close(raw.square().sum(1), torch.ones(6))
    corner = np.array([[0, 0, 0], [0, 0, 0.1], [8, 8, 8]], np.float32)
    found = modality.raw(modality.collate([corner]))[0].square()
    assert found[0] == pytest.approx(2 / 3)
    assert found[63] == pytest.approx(1 / 3)
