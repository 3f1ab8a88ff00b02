"""Point clouds in folders and tables are found and recognised."""

import csv

import numpy as np
import pytest

from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from tests.support.clouds import body, mesh

pytestmark = pytest.mark.quick


def kinds(frame):
    return {name: field.kind for name, field in infer(frame, {}, None).items()}


@pytest.fixture
def folder(tmp_path):
    for row in range(12):
        place = tmp_path / "shapes" / ("train" if row % 4 else "test") / ("flat", "long")[row % 2]
        place.mkdir(parents=True, exist_ok=True)
        suffix = (".off", ".ply", ".obj", ".stl", ".glb")[row % 5]
        (place / f"{row}{suffix}").write_bytes(mesh(suffix))
    return tmp_path / "shapes"


def test_a_folder_of_meshes_has_paths_splits_and_classes(folder):
    (folder / "train" / "flat" / "wood.png").write_bytes(b"\x89PNG")  # a texture
    frame = open_frame(folder, cache=None)
    assert len(frame) == 12
    assert kinds(frame) == {"points": "points", "split": "split", "label": "label"}


def test_one_file_is_one_row_and_pictures_stay_pictures(folder, tmp_path):
    path = next(folder.rglob("*.ply"))
    assert open_frame(path, cache=None).cells("points", [0]) == [path.name]
    (tmp_path / "photos").mkdir()
    for n in range(3):
        (tmp_path / "photos" / f"{n}.png").write_bytes(b"\x89PNG")
    (tmp_path / "photos" / "a.obj").write_bytes(mesh(".obj"))
    assert kinds(open_frame(tmp_path / "photos", cache=None)) == {"image": "image"}


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_folder_of_arrays_per_class_is_one_of_clouds(tmp_path, suffix):
    for row in range(8):
        place = tmp_path / "arrays" / ("a", "b")[row % 2]
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{row}.npy", body(row)) if suffix == "npy" else np.savez(place / f"{row}.npz", x=body(row))
    assert kinds(open_frame(tmp_path / "arrays", cache=None)) == {"points": "points", "label": "label"}


def test_a_column_of_paths_is_recognised(folder):
    paths = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))
    with (folder / "metadata.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["shape", "caption"])
        writer.writerows([path, f"a shape of number {n} that stands"] for n, path in enumerate(paths))
    assert kinds(open_frame(folder / "metadata.csv", cache=None)) == {"shape": "points", "caption": "text"}
    (folder / "elsewhere").mkdir()
    (folder / "metadata.csv").rename(folder / "elsewhere" / "metadata.csv")
    found = infer(open_frame(folder / "elsewhere" / "metadata.csv", cache=None), {}, None)["shape"]
    assert found.kind == "ignore"
    assert "look like point cloud files, but none of them lies in" in found.why


@pytest.mark.parametrize(
    "cells",
    [
        [mesh(".ply") for _ in range(6)],
        [{"bytes": mesh(".obj"), "path": f"{row}.obj"} for row in range(6)],
        [body(row) for row in range(6)],
        [body(row, points=100 + row).tolist() for row in range(6)],
        [body(row).T for row in range(6)],
        [np.hstack([body(row), np.random.default_rng(row).random((150, 3))]) for row in range(6)],
    ],
    ids=["bytes", "files", "arrays", "ragged lists", "turned", "six columns"],
)
def test_cells_of_every_form_are_recognised(cells):
    assert kinds(open_frame({"x": cells}, cache=None)) == {"x": "points"}


def test_few_points_are_a_cloud_if_the_column_says_so():
    cells = [body(row, points=20) for row in range(6)]
    assert kinds(open_frame({"x": cells}, cache=None)) == {"x": "series"}
    assert kinds(open_frame({"cloud": cells}, cache=None)) == {"cloud": "points"}
