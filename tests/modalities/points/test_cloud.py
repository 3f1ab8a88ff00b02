"""Files and arrays of points are decoded; bad ones are refused with the reason."""

import io

import numpy as np
import pytest

from kontrast.core.errors import Unreadable
from kontrast.modalities.points.cloud import cloud
from tests.support.clouds import body, mesh, scan

pytestmark = pytest.mark.quick
PLY = (
    "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\nproperty float nx\n"
    "property float ny\nproperty float nz\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    "0 0 0 0 0 1 255 0 0\n1 2 3 0 1 0 0 51 0\n"
)


def saved(**arrays):
    out = io.BytesIO()
    if list(arrays) == ["only"]:
        np.save(out, arrays["only"])
    else:
        np.savez(out, **arrays)
    return out.getvalue()


@pytest.mark.parametrize("suffix", [".off", ".ply", ".obj", ".stl", ".glb"])
def test_points_lie_evenly_on_the_surface_of_a_mesh(tmp_path, suffix):
    (tmp_path / f"box{suffix}").write_bytes(mesh(suffix))
    found = cloud(f"box{suffix}", tmp_path, 700)
    assert (found.points.shape, found.roles, found.derived) == ((700, 6), ("normals",), True)
    assert found.up == ("y" if suffix in (".obj", ".glb") else "z")
    inside = np.abs(found.points[:, :3] - [5, 0, 0]) / [1, 0.5, 2]
    np.testing.assert_allclose(inside.max(1), 1, atol=1e-6)
    on = np.abs(inside - 1) < 1e-6
    shares = on.mean(0)  # sides of 4, 8 and 2
    np.testing.assert_allclose(shares, np.array([4, 8, 2]) / 14, atol=0.03)
    np.testing.assert_allclose(np.abs(found.points[:, 3:]), on, atol=1e-6)
    assert np.array_equal(cloud(mesh(suffix), None, 700).points if suffix in (".off", ".ply", ".glb") else found.points,
                          found.points)  # fmt: skip


def test_a_ply_of_points_keeps_its_normals_and_colours():
    found = cloud(PLY.encode(), None, 9)
    assert found.roles == ("normals", "colours")
    np.testing.assert_allclose(found.points, [[0, 0, 0, 0, 0, 1, 1, 0, 0], [1, 2, 3, 0, 1, 0, 0, 0.2, 0]])


def test_scans_are_read_with_their_colours_and_far_coordinates():
    points = body(1).astype(np.float64) + np.array([500_000, 5_000_000, 80])
    colours = np.random.default_rng(0).integers(0, 65_536, points.shape)
    colours[0] = 65_535
    found = cloud(scan(points, colours), None, 9)
    assert found.roles == ("colours",)
    np.testing.assert_allclose(found.points[:, :3], points, atol=0.001)
    np.testing.assert_allclose(found.points[:, 3:], colours / 65_535, atol=1e-4)
    assert cloud(scan(points), None, 9).points.shape == (150, 3)


@pytest.mark.parametrize("text", ["3\n0 0 1\n1 2 3\n4 5 6\n", "# x y z\n0,0,1\n1,2,3\n\n4;5;6 // last\n"])
def test_text_files_hold_a_point_per_line(tmp_path, text):
    (tmp_path / "a.pts").write_text(text)
    assert cloud("a.pts", tmp_path, 9).points.tolist() == [[0, 0, 1], [1, 2, 3], [4, 5, 6]]


def test_seven_columns_of_text_are_intensity_and_colour():
    found = cloud({"bytes": b"0 0 0 9 255 0 0\n1 1 1 8 0 0 255", "path": "a.pts"}, None, 9)
    assert found.roles == ("other", "colours")


def test_arrays_of_numpy_and_lists_are_points():
    points = body(0)
    wanted = points.astype(np.float64)
    for cell in (points, points.T, points.tolist(), list(points)):
        np.testing.assert_array_equal(cloud(cell, None, 9).points, wanted)
    colours = np.full((150, 3), 51, np.uint8)
    for data, name in (
        (saved(only=points), "a.npy"),
        (saved(x=points), "a.npz"),
        (saved(xyz=points, y=colours), "a.npz"),
    ):
        np.testing.assert_array_equal(cloud({"bytes": data, "path": name}, None, 9).points, wanted)
    found = cloud({"bytes": saved(points=points, rgb=colours), "path": "a.npz"}, None, 9)
    assert found.roles == ("colours",)
    np.testing.assert_allclose(found.points[:, 3:], 0.2)


def test_points_that_are_not_finite_are_left_out_and_counted():
    points = body(0)
    points[:20, 1] = np.nan
    found = cloud(points, None, 9)
    assert (len(found.points), found.lost) == (130, 20)
    points[:, 0] = np.inf
    with pytest.raises(Unreadable, match="150 of 150 points hold a number that is not finite"):
        cloud(points, None, 9)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.off", b"OFF\n3 1 0\n0 0 0\n", "no off that can be decoded"),
        ("a.off", b"OFF\n0 0 0\n", "decoded|holds no point"),
        ("a.ply", b"ply\n", "no ply that can be decoded"),
        ("a.obj", b"nothing here", "holds no point"),
        ("a.stl", b"junk", "decoded|holds no point"),
        ("a.glb", b"glTF123", "no glb that can be decoded"),
        ("a.las", b"LASF and no more", "no scan that can be decoded"),
        ("a.pts", b"0 0 0\n1 1\n", "line 2 has 2 numbers, where the first point has 3"),
        ("a.xyz", b"0 0 0\nC 1 1\n", "line 2 holds something that is no number"),
        ("a.xyz", b"0 0\n1 1\n", "has 2 numbers per line"),
        ("a.xyz", b"# nothing\n", "holds no point"),
        ("a.xyz", b"\xff\xfe\x00", "is no text"),
        ("a.npy", b"no array", "no .npy that can be read without unpickling"),
        ("a.npz", saved(a=np.zeros(3), b=np.zeros(3)), "holds a, b; expected one array"),
        ("a.ply", b"", "an empty file"),
        ("a.doc", b"words", "a file with the suffix '.doc'"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(tmp_path, name, data, why):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Unreadable, match=why):
        cloud(name, tmp_path, 9)


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (np.zeros((0, 3)), "an empty cloud"),
        (np.zeros((9, 2)), "has 2 numbers per point"),
        (np.zeros((2, 9, 3)), "has 3 axes"),
        ([[0, 0, 0], [1, 1]], "differ in the number of coordinates"),
        ([["a", "b", "c"]], "no number"),
        (np.zeros((9, 3), dtype=object).tolist() + [[None, 0, 0]] * 20, "20 of 29 points"),
        (None, "nothing there"),
        (b"bytes of something", "bytes that begin like no file of points"),
        ("gone.ply", "no such file"),
        ("https://example.org/a.ply", "a web address"),
        (object(), "no number"),
    ],
)
def test_a_bad_cell_is_refused_with_the_reason(tmp_path, cell, why):
    with pytest.raises(Unreadable, match=why):
        cloud(cell, tmp_path, 9)


def test_a_mesh_opens_no_other_file(tmp_path):
    (tmp_path / "a.obj").write_bytes(b"mtllib ../secret.mtl\nusemtl x\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert cloud("a.obj", tmp_path, 50).points.shape == (50, 6)
