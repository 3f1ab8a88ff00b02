"""Captions of a run: on rows that training never saw, on new rows, in the report; resumed bit for bit."""

import json

import numpy as np
import pytest
from PIL import Image

import kontrast as kt
from kontrast.core.errors import UserError
from tests.support.command import call
from tests.support.journeys import power_cut

RNG = np.random.default_rng(0)
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230)}
MIDDLE, INNER, WHOLE = slice(5, 8), slice(2, 10), slice(0, 12)
SHAPES = {"square": (INNER, INNER), "bar": (MIDDLE, WHOLE), "pole": (WHOLE, MIDDLE)}


def picture(colour, shape):
    made = RNG.integers(0, 40, (12, 12, 3))
    made[SHAPES[shape]] += np.array(COLOURS[colour]) - 30
    return made.clip(0, 255).astype("uint8")


def drawn(number):
    """Coloured shapes with their captions."""
    kinds = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    seen = [kinds[n % len(kinds)] for n in range(number)]
    return {"picture": [picture(*kind) for kind in seen], "words": [f"a {colour} {shape}" for colour, shape in seen]}


# By a column, since rows with equal captions would otherwise be held out together.
ROWS = {**drawn(90), "split": ["train"] * 72 + ["test"] * 18}
HOW = {
    "recipe": "coca",
    "fields": {"picture": "image", "words": "text", "split": "split"},
    "settings": {
        "plan.batch": 36,
        "plan.checkpoint": 0,
        "plan.learning_rate": 8e-3,
        "plan.precision": "32",
        "encoders.image.base": 8,
        "encoders.text.buckets": 64,
        "tasks.captions.width": 64,
        "views.picture.flip": False,
        "views.picture.strength": "none",
    },
    "seed": 0,
}


@pytest.mark.slow
def test_captions_of_held_out_rows_are_right_and_those_of_new_rows_too(tmp_path, capsys):
    run = kt.train(ROWS, out=tmp_path / "run", steps=40, **HOW)
    found = json.loads((run.path / "samples.json").read_text())["captions"]
    assert found["loss"] < 0.5 < 1.0 < found["shuffled"]
    assert found["rows"] == len(run.embeddings())
    right = [one["said"] == one["true"] for one in found["shown"]]
    assert np.mean(right) > 0.8
    page = (run.path / "report.html").read_text()
    assert "id='captions'" in page
    assert f"{found['loss']:.2f} nats per token" in page
    new = drawn(9)
    said = kt.load(run.path).caption({"picture": new["picture"]})
    assert [one["field"] for one in said] == ["picture"] * 9
    assert np.mean([one["caption"] == true for one, true in zip(said, new["words"], strict=True)]) > 0.8
    with pytest.raises(UserError, match="no field to write captions of; found words, expected picture"):
        run.caption({"words": new["words"]})
    file = tmp_path / "new.csv"
    Image.fromarray(new["picture"][0]).save(tmp_path / "0.png")
    file.write_text("picture\n0.png\n")
    assert call("caption", run.path, file, "--quiet") == 0
    assert capsys.readouterr().out == f"0.png\tpicture\t{said[0]['caption']}\n"
    assert call("caption", run.path, file, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"id": "0.png", "field": "picture", "caption": said[0]["caption"]}


@pytest.mark.slow
def test_a_run_with_captions_resumes_bit_for_bit_and_another_run_writes_none(tmp_path, monkeypatch):
    how = {**HOW, "steps": 5}
    whole = kt.train(ROWS, out=tmp_path / "whole", **how)
    with power_cut(monkeypatch, at=4):
        kt.train(ROWS, out=tmp_path / "cut", **how)
    resumed = kt.resume(tmp_path / "cut", data=ROWS)
    one, two = ([json.loads(x) for x in (r.path / "metrics.jsonl").read_text().splitlines()] for r in (whole, resumed))
    assert [r["loss"] for r in one] == [r["loss"] for r in two]
    assert {name.partition(".")[0] for name in one[0]["terms"]} == {"contrast", "captions"}
    said = [json.loads((r.path / "samples.json").read_text())["captions"] for r in (whole, resumed)]
    assert said[0] == said[1]
    clip = kt.train(ROWS, out=tmp_path / "clip", steps=1, **{**HOW, "recipe": "clip", "settings": {"plan.batch": 36}})
    assert "captions" not in json.loads((clip.path / "samples.json").read_text())
    with pytest.raises(UserError, match="this run writes no captions: its tasks are clip"):
        clip.caption(ROWS)
