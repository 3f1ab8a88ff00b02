"""Sounds in folders and tables are found and recognised."""

import csv

import numpy as np
import pyarrow as pa
import pytest

from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from tests.support.sounds import encoded, tone


@pytest.fixture
def folder(tmp_path):
    for row in range(12):
        place = tmp_path / "clips" / ("train" if row % 4 else "test") / ("low", "high")[row % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row}.{('wav', 'flac', 'ogg')[row % 3]}").write_bytes(
            encoded(tone(row), kind=("WAV", "FLAC", "OGG")[row % 3])
        )
    return tmp_path / "clips"


def kinds(frame):
    return {name: field.kind for name, field in infer(frame, {}, None).items()}


def test_a_folder_of_clips_has_paths_splits_and_classes(folder):
    frame = open_frame(folder, cache=None)
    assert len(frame) == 12
    assert kinds(frame) == {"audio": "audio", "split": "split", "label": "label"}


def test_one_file_is_one_row(folder):
    path = next(folder.rglob("*.wav"))
    frame = open_frame(path, cache=None)
    assert frame.cells("audio", [0]) == [path.name]


def test_a_column_of_paths_is_recognised(folder):
    paths = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))
    with (folder / "metadata.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "caption"])
        writer.writerows([path, f"a sound of number {n} that rings"] for n, path in enumerate(paths))
    frame = open_frame(folder / "metadata.csv", cache=None)
    assert kinds(frame) == {"clip": "audio", "caption": "text"}
    (folder / "elsewhere").mkdir()
    (folder / "metadata.csv").rename(folder / "elsewhere" / "metadata.csv")
    found = infer(open_frame(folder / "elsewhere" / "metadata.csv", cache=None), {}, None)["clip"]
    assert found.kind == "ignore"
    assert "look like sound files, but none of them lies in" in found.why


@pytest.mark.parametrize(
    "cells",
    [
        [encoded(tone(row)) for row in range(6)],
        [{"bytes": encoded(tone(row)), "path": f"{row}.wav"} for row in range(6)],
        [{"bytes": None, "path": f"{row}.wav"} for row in range(6)],
        [{"array": tone(row), "sampling_rate": 8000} for row in range(6)],
        [(tone(row), 8000) for row in range(6)],
        [(np.stack([tone(row)] * 2, 1), 8000) for row in range(6)],
    ],
    ids=["bytes", "files", "paths", "records", "pairs", "stereo"],
)
def test_cells_of_every_form_are_recognised(cells):
    assert kinds(open_frame({"sound": cells}, cache=None)) == {"sound": "audio"}


def test_arrays_without_a_rate_stay_series():
    assert kinds(open_frame({"x": [tone(row) for row in range(6)]}, cache=None)) == {"x": "series"}


def test_other_bytes_are_no_sounds():
    assert kinds(open_frame(pa.table({"x": [b"\x00\x01\x02" * 9] * 6}), cache=None)) == {"x": "ignore"}
