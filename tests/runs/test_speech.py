"""Speech recognition of a run: tones that stand for words are spelled, on held-out rows and new ones; resumed."""

import json

import numpy as np
import pytest

import kontrast as kt
from kontrast.core.errors import UserError
from tests.support.command import call
from tests.support.journeys import power_cut
from tests.support.sounds import encoded, spoken

WORDS = ("d", "re", "m")
RNG = np.random.default_rng(0)


def said(number):
    """Sentences of one to three words as sounds, with their transcripts."""
    rows = [RNG.integers(0, len(WORDS), RNG.integers(1, 4)) for _ in range(number)]
    return {
        "clip": [(spoken(row, seed=n), 4000) for n, row in enumerate(rows)],
        "words": [" ".join(WORDS[k] for k in row) for row in rows],
    }


ROWS = {**said(112), "split": ["train"] * 96 + ["test"] * 16}
HOW = {
    "recipe": "speech",
    "fields": {"clip": "audio", "words": "text", "split": "split"},
    "settings": {
        "plan.batch": 24,
        "plan.checkpoint": 0,
        "plan.learning_rate": 2e-2,
        "plan.precision": "32",
        "plan.monitor": 0,
        "views.clip.mels": 16,
        "encoders.audio.base": 4,
        "encoders.audio.out": 32,
        "encoders.text.width": 8,
        "tasks.contrast.per": 4,
    },
    "seed": 0,
}


def found_in(run):
    return json.loads((run.path / "samples.json").read_text())["captions"]


@pytest.mark.slow
def test_words_of_held_out_sounds_are_spelled_and_those_of_new_ones_too(tmp_path, capsys):
    run = kt.train(ROWS, out=tmp_path / "run", steps=70, **HOW)
    found = found_in(run)
    errors = found["word errors"]
    assert errors["value"] < 0.5
    assert errors["low"] <= errors["value"] <= errors["high"] < 0.8  # untrained, all words are wrong
    assert found["loss"] < 0.7 < 1.5 < found["shuffled"]
    assert found["rows"] == 16
    page = (run.path / "report.html").read_text()
    assert "<b>word error rate</b>" in page
    new = said(12)
    written = kt.load(run.path).caption({"clip": new["clip"]})
    assert np.mean([one["caption"] == true for one, true in zip(written, new["words"], strict=True)]) > 0.4
    (tmp_path / "0.wav").write_bytes(encoded(*new["clip"][0]))
    (tmp_path / "new.csv").write_text("clip\n0.wav\n")
    assert call("caption", run.path, tmp_path / "new.csv", "--quiet") == 0
    assert capsys.readouterr().out == f"0.wav\tclip\t{written[0]['caption']}\n"


@pytest.mark.slow
def test_a_run_that_recognises_speech_resumes_bit_for_bit(tmp_path, monkeypatch):
    how = {**HOW, "steps": 3}
    rows = {name: column[80:104] for name, column in ROWS.items()}  # 16 to train and 8 held out
    whole = kt.train(rows, out=tmp_path / "whole", **how)
    with power_cut(monkeypatch, at=2):
        kt.train(rows, out=tmp_path / "cut", **how)
    resumed = kt.resume(tmp_path / "cut", data=rows)
    one, two = ([json.loads(x) for x in (r.path / "metrics.jsonl").read_text().splitlines()] for r in (whole, resumed))
    assert [r["loss"] for r in one] == [r["loss"] for r in two]
    assert found_in(whole) == found_in(resumed)
    assert found_in(whole)["word errors"]["value"] > 0.8  # three steps are too few


def test_speech_needs_a_text(tmp_path):
    with pytest.raises(UserError, match=r"field"):
        kt.train({"clip": ROWS["clip"]}, recipe="speech", steps=1, out=tmp_path / "run")
