"""Nothing of validation and held-out rows reaches training: other labels, numbers and contents there change no bit."""

import json
import signal

import numpy as np
import pytest

import kontrast as kt
from kontrast.core.errors import Interrupted
from kontrast.data.schema import fingerprint, split
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.reporting.logger import Logger
from kontrast.runs.folder.folder import Folder
from kontrast.runs.model import Model
from tests.support.series import waves
from tests.support.settings import FAST

pytestmark = pytest.mark.slow

SMALL = {"series": {"name": "tcn", "hidden": 8, "out": 16, "depth": 2}}
N = 160


def columns(sides, *, others):
    """Waves with targets. others: in rows that do not train all is new: classes, types, lengths, sizes of numbers."""
    x, kinds = waves(N, length=32)
    rng = np.random.default_rng(0)
    made = {
        "wave": [row.tolist() for row in x],
        "shape": [["slow", "fast", "saw"][k] for k in kinds],
        "tags": [["a", "b"][: 1 + n % 2] for n in range(N)],
        "dose": [f"{value:.3f}" for value in rng.normal(size=N)],
        "note": [f"note {n} on a wave" for n in range(N)],
    }
    if others:
        for row in np.flatnonzero(sides != split.TRAIN):
            made["wave"][row] = [1e6 * row, -1e6, 3.0, 4.0, 5.0] * (1 + row % 20)
            made["shape"][row] = f"new class {row}"
            made["tags"][row] = [f"new {row}"]
            made["dose"][row] = f"unknown {row}"
            made["note"][row] = "http://other.org/things"
    return made


def run(out, sides, *, others, **extra):
    return kt.train(
        {**columns(sides, others=others), **extra},
        recipe="tests.support.target_methods:experiment",
        fields={"tags": "labels", "dose": "number", "note": "meta"},
        encoders=SMALL,
        steps=6,
        settings={**FAST, "source.validation": 0.2, "scores": ["knn"]},
        out=out,
    )


def same(one, two):
    """Weights, what was inferred, scales and classes of two runs are equal to the last bit."""
    for name in ("encoder/model.safetensors", "encoder/modalities.json", "encoder/targets.json", "experiment.json"):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes(), name
    data = [json.loads((each.path / "data.json").read_text()) for each in (one, two)]
    assert data[0]["fields"] == data[1]["fields"]
    assert data[0]["recipe"] == data[1]["recipe"]
    assert data[0]["fingerprint"] != data[1]["fingerprint"]
    moments = [(each.path / "metrics.jsonl").read_text().splitlines() for each in (one, two)]
    losses = [[json.loads(line)["loss"] for line in lines] for lines in moments]
    assert losses[0] == losses[1]


def test_other_labels_numbers_and_contents_of_rows_that_do_not_train_change_no_bit_of_training(tmp_path):
    keys = fingerprint.numbers(map(str, range(N)))
    sides = split.drawn(keys, 0.2, 0) * 2
    sides[(sides == 0) & split.drawn(keys, 0.2, 0, split.VALIDATION_STREAM)] = split.VALIDATION
    one, two = (run(tmp_path / str(others), sides, others=others) for others in (False, True))
    same(one, two)
    facts = json.loads((one.path / "encoder" / "targets.json").read_text())
    assert facts["samples"] == (sides == split.TRAIN).sum()
    assert facts["targets"]["label"]["names"] == ["fast", "saw", "slow"]
    assert sum(facts["targets"]["label"]["counts"]) == facts["samples"]
    everything = infer(open_frame(columns(sides, others=True), cache=None), {}, None)
    assert everything["shape"].kind != "label"  # as all rows together would have it
    model = Model.load(Folder(one.path, trusts=True))  # with as many centres and samples as in training
    assert model.learner.served.proxies.centres.shape[0] == 3
    assert len(model.learner.served.seen) == facts["samples"]


def test_nor_of_rows_that_the_data_itself_names_validation_and_test(tmp_path):
    sides = np.array([split.TRAIN, split.TRAIN, split.VALIDATION, split.HELD_OUT] * (N // 4))
    names = [("train", "val", "test")[side] for side in sides]
    one, two = (run(tmp_path / str(others), sides, others=others, split=names) for others in (False, True))
    same(one, two)
    assert json.loads((one.path / "data.json").read_text())["validation"] == N // 4


class Hand(Logger):
    """Presses Ctrl-C after the third step."""

    def moment(self, moment):
        if moment.step == 3:
            signal.raise_signal(signal.SIGINT)


def test_a_run_begun_before_there_were_validation_rows_goes_on_as_it_began(tmp_path):
    x, kinds = waves(N, length=32)
    rows = {"wave": x, "shape": [str(k) for k in kinds], "split": ["train", "train", "val", "test"] * (N // 4)}
    how = {"encoders": SMALL, "steps": 6, "settings": {**FAST, "source.validation": 0, "scores": ["knn"]}}
    whole = kt.train(rows, **how, out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        kt.train(rows, **how, out=tmp_path / "cut", logger=Hand())
    experiment, data = (tmp_path / "cut" / f"{name}.json" for name in ("experiment", "data"))
    before = json.loads(experiment.read_text())
    del before["source"]["validation"]
    experiment.write_text(json.dumps(before))
    known = json.loads(data.read_text())
    assert known["train"] == 3 * N // 4
    del known["validation"]
    data.write_text(json.dumps(known))
    cut = kt.resume(tmp_path / "cut", data=rows)
    one, two = ((run.path / "encoder" / "model.safetensors").read_bytes() for run in (whole, cut))
    assert one == two
    assert "validation" not in json.loads(data.read_text())
    (cut.path / "encoder" / "targets.json").unlink()  # older runs have none
    assert kt.load(cut.path).embed({"wave": x[:3]}).z["wave"].shape[0] == 3
