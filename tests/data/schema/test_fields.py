"""What a column is taken for, and that the user is told why and may say otherwise."""

import io
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from kontrast.core import registry
from kontrast.core.errors import UserError
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.data.sources.python_values import frame_of

pytestmark = pytest.mark.quick

N = 200
WORDS = [f"a sentence about thing {i} and more" for i in range(N)]
FEW = ["red", "green", "blue", "grey"] * (N // 4)


def kinds(said=None, **columns):
    return {name: field.kind for name, field in infer(frame_of(columns, "t"), said or {}, None).items()}


def kind(values, name="x", folder=Path()):
    (field,) = infer(frame_of({name: values}, "t", folder), {}, None).values()
    assert field.why
    return field.kind


def png():
    data = io.BytesIO()
    Image.new("L", (4, 4)).save(data, "PNG")
    return data.getvalue()


def random(*shape):
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.zeros((5, 28, 28), np.uint8), "image"),
        (np.zeros((5, 28, 28), bool), "image"),
        (np.abs(random(5, 28, 28)).clip(0, 1), "image"),
        (random(5, 28, 28), "series"),
        (np.zeros((5, 8, 9, 3), np.uint8), "image"),
        (np.zeros((5, 8, 9, 4), np.float32), "image"),
        (np.zeros((5, 1, 8, 9), np.float32), "image"),
        (random(5, 100), "series"),
        (random(5, 100, 6), "series"),
        (random(5, 6, 100), "series"),
        (np.zeros((5, 3, 100), np.uint8), "series"),
        (random(5, 3), "ignore"),
        (random(5, 2, 3, 4, 5), "ignore"),
        (random(5), "meta"),
        ([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0]], "series"),
        ([[[1.0, 2.0], [3.0, 4.0]] * 2, [[1.0, 2.0]]], "series"),
        ([[1, 2], [3]], "ignore"),
        ([["a", "b"], ["c"]], "text"),
        ([[True], [False]], "ignore"),
        (pa.array([[1.0] * 8] * 3, pa.list_(pa.float32(), 8)), "series"),
        ([png(), png()], "image"),
        ([b"no picture", b"none"], "ignore"),
        ([{"bytes": png(), "path": None}, None], "image"),
        ([{"bytes": None, "path": "a.JPG"}], "image"),
        ([{"bytes": b"RIFF....WAVE", "path": "a.wav"}], "audio"),
        ([b"fLaC" + bytes(40)] * N, "audio"),
        ([b"RIFF\0\0\0\0WAVEfmt " + bytes(40)] * N, "audio"),
        ([{"a": 1, "b": 2}], "table"),
        ([{"a": "x", "b": "y"}], "ignore"),
        ([Image.new("L", (2, 2)), None], "image"),
        ([np.zeros((2, 3, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)], "image"),
        ([random(2, 7), random(2, 9)], "series"),
        ([None, None], "ignore"),
        (["", " "], "ignore"),
        (["same"] * 5, "ignore"),
        ([3] * 5, "ignore"),
        ([True, False], "meta"),
        (pa.array([0, 1], pa.timestamp("s")), "meta"),
        (WORDS, "text"),
        (["word " * 20 + str(i % 3) for i in range(N)], "text"),
        ([f"https://example.org/{i}" for i in range(N)], "meta"),
        ([f"2024-01-{i % 28 + 1:02}" for i in range(N)], "meta"),
        ([f"IMG-{i:05}" for i in range(N)], "meta"),
        ([f"word {i % 100}" for i in range(2000)], "meta"),
    ],
)
def test_a_single_column_is_what_its_values_are(values, expected):
    assert kind(values) == expected


def test_strings_that_name_files_are_images_only_where_the_files_are(tmp_path):
    for i in range(4):
        Image.new("L", (4, 4)).save(tmp_path / f"{i}.png")
    names = [f"{i}.png" for i in range(5)]
    assert kind(names, folder=tmp_path) == "image"
    assert kind([str(tmp_path / name) for name in names]) == "image"
    assert kind(names, folder=tmp_path / "elsewhere") == "ignore"


def test_a_label_is_known_by_name():
    assert kinds(text=WORDS, label=FEW, colour=FEW) == {"text": "text", "label": "label", "colour": "meta"}
    assert kinds(text=WORDS, y=[0, 1] * (N // 2), n=[0, 1] * (N // 2)) == {"text": "text", "y": "label", "n": "meta"}
    assert kinds(text=WORDS, Target=[0.0, 1.0, None, 2.0] * (N // 4))["Target"] == "label"
    assert kinds(category=FEW, label=FEW) == {"category": "meta", "label": "label"}


def test_a_target_of_many_numbers_is_no_class():
    assert kinds(text=WORDS, y=list(range(N)), target=random(N)) == {"text": "text", "y": "meta", "target": "meta"}


def test_the_only_column_of_few_strings_is_the_label_but_two_are_not():
    assert kinds(text=WORDS, mood=FEW)["mood"] == "label"
    assert kinds(text=WORDS, mood=FEW, place=FEW) == {"text": "text", "mood": "meta", "place": "meta"}


def test_ids_and_splits():
    found = kinds(
        id=list(range(N)), file_name=[f"f{i}" for i in range(N)], split=["Train", "dev"] * (N // 2), text=WORDS
    )
    assert found == {"id": "id", "file_name": "meta", "split": "split", "text": "text"}
    assert kinds(id=[1, 1, 2, 3], text=WORDS[:4])["id"] == "meta"
    assert kinds(fold=["a", "b"] * (N // 2), split=["train"] * N) == {"fold": "label", "split": "meta"}


def test_the_user_has_the_last_word():
    columns = {"text": WORDS, "mood": FEW, "place": FEW, "label": FEW}
    assert kinds(**columns, said={"mood": "text", "text": "ignore"}) == {
        "text": "ignore",
        "mood": "text",
        "place": "meta",
        "label": "label",
    }
    frame = frame_of(columns, "t")
    found = infer(frame, {}, "place")
    assert [n for n, f in found.items() if f.kind == "label"] == ["place"]
    assert list(found) == list(columns)


@pytest.mark.parametrize(
    ("chosen", "label", "message"),
    [
        ({"txt": "text"}, None, "no column 'txt'; did you mean 'text'? Its columns: text, mood."),
        ({"qqqq": "text"}, None, "no column 'qqqq'; there is: mood, text."),
        ({}, "moods", "no column 'moods'; did you mean 'mood'?"),
        ({"text": "txt"}, None, "no kind 'txt'; did you mean 'text'"),
        ({"text": "id", "mood": "id"}, None, "2 columns are chosen as the id: text, mood; expected one"),
    ],
)
def test_wrong_names_are_refused_with_the_nearest(chosen, label, message):
    with pytest.raises(UserError, match=re.escape(message)):
        infer(frame_of({"text": WORDS, "mood": FEW}, "t"), chosen, label)


def test_reasons_are_words_a_user_understands():
    frame = frame_of({"text": WORDS, "mood": FEW, "x": random(N, 50)}, "t")
    whys = {name: field.why for name, field in infer(frame, {}, None).items()}
    assert whys["mood"] == "4 distinct strings"
    assert whys["x"] == "arrays of numbers (50)"
    assert infer(frame, {"mood": "meta"}, None)["mood"].why == "as you said"


def test_picture_paths_of_which_some_are_missing_are_still_pictures(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    paths = [["a.png", "gone.png", None, ""][i % 4] for i in range(N)]
    (found,) = infer(frame_of({"x": paths}, "t", tmp_path), {}, None).values()
    assert found.kind == "image"
    assert "50% of which are not there" in found.why
    assert kind(["gone.png", None] * (N // 2), folder=tmp_path) == "ignore"


def test_point_clouds_are_no_time_series_and_walks_are():
    cloud, walk = random(20, 256, 3), random(20, 256, 3).cumsum(1)
    for values in (cloud, cloud.transpose(0, 2, 1), (cloud * 3000).astype(np.int16)):
        (found,) = infer(frame_of({"x": values}, "t"), {}, None).values()
        assert found.kind == "points"
        assert found.why.startswith("arrays of points (")
    assert kind(walk) == kind(random(20, 256, 2)) == kind(random(20, 256, 4)) == kind(random(20, 32, 3)) == "series"
    assert kind(walk, "points") == "points"
    assert kind([list(map(list, one)) for one in cloud]) == "points"
    assert kinds({"x": "series"}, x=cloud) == {"x": "series"}


@pytest.mark.parametrize(
    ("values", "called"),
    [
        ([f"films/{i}.MKV" for i in range(N)], "files of video"),
        ([f"{i}.graphml.gz" for i in range(N)], "graphs in this form"),
        ([{"bytes": None, "path": "a.mp4"}] * N, "files of video"),
    ],
)
def test_what_is_not_read_yet_is_called_by_its_name(values, called):
    (found,) = infer(frame_of({"x": values}, "t"), {}, None).values()
    assert found.kind == "ignore"
    assert f"{called}, which kontrast does not read yet" in found.why


def test_folders_and_archives_of_such_files_are_refused_by_name(tmp_path):
    (tmp_path / "clips").mkdir()
    for i in range(3):
        (tmp_path / f"clips/{i}.wma").write_bytes(b"RIFF")
    np.savez(tmp_path / "graph.npz", edge_index=np.zeros((2, 9), int), y=np.zeros(5))
    np.savez(tmp_path / "blob.npz", blob=np.frombuffer(b"fLaC" * 9, np.uint8), off=np.arange(3))
    for name, called in (
        ("clips", "audio in this form"),
        ("graph.npz", "graphs"),
        ("blob.npz", "audio in"),
        ("none.ply", ""),
    ):
        with pytest.raises(UserError, match=f"holds {called}" if called else "does not exist"):
            open_frame(tmp_path / name, cache=None)


def test_the_registry_is_asked_once_however_many_columns_there_are(monkeypatch):
    asked, kinds_of = [], registry.kinds
    monkeypatch.setattr(registry, "kinds", lambda room: asked.append(room) or kinds_of(room))
    counts = []
    for columns in (2, 40):
        asked.clear()
        infer(frame_of({f"c{i}": random(5).tolist() for i in range(columns)}, "t"), {}, None)
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 2
