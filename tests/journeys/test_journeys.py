"""One whole journey a modality, and one for mixed rows: train, embed, score, index, search, report, resume."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kontrast as kt
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from tests.support.clouds import KINDS as CLOUDS
from tests.support.clouds import body
from tests.support.journeys import number, same_whatever_the_batch, travels
from tests.support.series import waves
from tests.support.settings import FAST
from tests.support.sounds import encoded, tone
from tests.support.videos import MOTIONS, moving
from tests.support.videos import encoded as encoded_video

pytestmark = pytest.mark.slow


def test_images(digits, tmp_path):
    run = travels(digits, tmp_path, steps=60)
    assert run.experiment.names == "simclr"
    assert number(run, "kNN accuracy") > max(0.7, number(run, "kNN accuracy", "untrained"))
    bank = same_whatever_the_batch(run, digits / "3")
    bank.save(tmp_path / "e.parquet")
    assert EmbeddingTable.load(tmp_path / "e.parquet").ids.tolist() == bank.ids.tolist()
    run.index(digits)
    picture = sorted((digits / "3").iterdir())[0]
    hits = run.search(like=str(picture), k=5)
    assert hits[0].id == f"3/{picture.name}"
    assert hits[0].similarity > 0.999
    assert [h.label for h in run.search(like=str(picture), k=3, where="label = '8'")] == ["8"] * 3
    with pytest.warns(UserWarning, match="WERE TRAINED ON"):
        table = run.evaluate(digits)
    assert next(r for r in table if r["name"] == "kNN accuracy")["trained"]["value"] > 0.7


def test_texts(tmp_path):
    rows = emoji(columns=["id", "tags", "group"]).to_pylist()
    data = [{"id": r["id"], "text": ", ".join(r["tags"]), "group": r["group"]} for r in rows[:600] if r["tags"]]
    run = travels(data, tmp_path, steps=40, label="group", settings={"plan.batch": 128})
    assert number(run, "linear accuracy") > max(0.85, number(run, "linear accuracy", "untrained"))
    same_whatever_the_batch(run, data[:20])
    run.index()
    assert run.search("animal, cat, pet", k=3)[0].field == "text"


def test_series_of_unequal_length_with_gaps(series, tmp_path):
    run = travels(series / "WAVES_TRAIN.ts", tmp_path, steps=60)
    whole = kt.train(series / "WAVES", steps=60, out=tmp_path / "both", settings=FAST)
    assert number(whole, "kNN accuracy") > max(0.8, number(whole, "kNN accuracy", "raw") - 0.1)
    tables = run.evaluate(series / "WAVES_TEST.ts")
    assert next(r for r in tables if r["name"] == "kNN accuracy")["trained"]["value"] > 0.7
    same_whatever_the_batch(run, series / "WAVES_TEST.ts")
    run.index()
    assert run.search(like=waves(3)[0][1], k=1)[0].similarity > 0.5
    assert run.search(like=str(series / "WAVES_TRAIN.ts"), k=1)[0].similarity > 0.99  # a file: its first series


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """60 chords of three intervals as wav files, in a folder per interval."""
    folder = tmp_path_factory.mktemp("sounds") / "clips"
    for row in range(60):
        place = folder / ("third", "fifth", "octave")[row % 3]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row}.wav").write_bytes(encoded(tone(row, seconds=0.3)))
    return folder


def test_sounds(clips, tmp_path):
    settings = {"encoders.audio.base": 8, "plan.batch": 24}
    run = travels(clips, tmp_path, steps=30, settings=settings)
    assert run.experiment.names == "simclr"
    page = (run.path / "report.html").read_text()
    assert "data:audio/wav;base64," in page
    same_whatever_the_batch(run, clips / "third")
    run.index(clips)
    sound = clips / "third" / "0.wav"
    assert run.search(like=str(sound), k=1)[0].id == "third/0.wav"
    assert run.search(like=sound.read_bytes(), k=1)[0].similarity > 0.999
    assert run.search(like=(tone(0, seconds=0.3), 8000), k=1)[0].id == "third/0.wav"


def test_clouds(tmp_path):
    for row in range(60):
        place = tmp_path / "shapes" / CLOUDS[row % 3]
        place.mkdir(parents=True, exist_ok=True)
        np.savetxt(place / f"{row}.xyz", body(row, points=100), fmt="%.5f")
    light = {
        "views.points.crop": 1.0,
        "views.points.scale": 0.0,
        "views.points.rotate": "none",
    }  # easy pairs: few steps
    settings = {"encoders.points.base": 16, "encoders.points.out": 32, "plan.batch": 24, **light}
    run = travels(tmp_path / "shapes", tmp_path, steps=30, settings=settings)
    assert run.experiment.names == "simclr"
    assert "points from three sides" in (run.path / "report.html").read_text()
    same_whatever_the_batch(run, tmp_path / "shapes" / "ball")
    run.index(tmp_path / "shapes")
    assert run.search(like=str(tmp_path / "shapes" / "ball" / "0.xyz"), k=1)[0].id == "ball/0.xyz"
    assert run.search(like=body(0, points=100), k=1)[0].similarity > 0.99


def test_videos(tmp_path):
    """Animated pictures of a block that moves one of three ways."""
    clips = tmp_path / "clips"
    for row in range(60):
        place = clips / list(MOTIONS)[row % 3]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row}.gif").write_bytes(encoded_video(moving(row, frames=10 + row % 5)))
    settings = {"plan.batch": 24, "views.image.frames": 6, "views.image.windows": 2}
    settings |= {f"encoders.video.{name}": value for name, value in {"base": 4, "thin": 8, "hidden": 16}.items()}
    run = travels(clips, tmp_path, steps=18, settings=settings)
    assert (run.experiment.names, run.experiment.views["image"].name) == ("simclr", "video")
    assert "data:image/webp;base64," in (run.path / "report.html").read_text()
    same_whatever_the_batch(run, clips / "right")
    run.index(clips)
    clip = clips / "right" / "0.gif"
    assert run.search(like=str(clip), k=1)[0].id == "right/0.gif"
    assert run.search(like=clip.read_bytes(), k=1)[0].similarity > 0.999
    with pytest.raises(UserError, match="ffmpeg"):
        run.search(like="clip.mp4")


def emoji(columns):
    from importlib.resources import files

    return pq.read_table(str(files("kontrast.data.bundled") / "emoji.parquet"), columns=columns)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    """300 emoji of two drawings and a name; every fifth lacks its second drawing, every seventh its name."""
    table = emoji(["id", "google", "twitter", "text", "group"]).slice(0, 1900).take(list(range(0, 1900, 6)))
    rows = table.to_pylist()
    for n, row in enumerate(rows):
        row["name"] = None if n % 7 == 0 else row.pop("text")[0]
        row.pop("text", None)
        if n % 5 == 0:
            row["twitter"] = None
    path = tmp_path_factory.mktemp("mixed") / "emoji.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_mixed_rows_that_miss_some(mixed, tmp_path):
    settings = {"views.google.size": 16, "views.twitter.size": 16}
    run = travels(mixed, tmp_path, steps=60, settings=settings)
    assert run.experiment.names == "clip"
    assert number(run, "google>twitter R@10") > number(run, "google>twitter R@10", "untrained")
    data = json.loads((run.path / "data.json").read_text())
    assert data["missing"] == {"google": 0, "twitter": 64, "name": 46}
    bank = same_whatever_the_batch(run, mixed)
    assert np.isnan(bank.z["twitter"]).all(axis=1).sum() == 64
    run.index(mixed)
    assert {h.field for h in run.search("red heart", among="google", k=4)} == {"google"}
    only = run.embed(pq.read_table(mixed, columns=["id", "google"]))
    assert list(only.z) == ["google"]


@pytest.mark.parametrize("name", ["GunPoint", "Coffee"])
def test_published_series_where_they_are_at_hand(published, tmp_path, name):
    run = kt.train(published / "ucr" / f"{name}.npz", steps=60, out=tmp_path / "run", settings=FAST)
    assert number(run, "linear accuracy") > 0.7
